package main

import (
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// What the command line can do, a message can: deploy/nats.md names every command beside
// its message, or says that there is none. That the messages work e2e/byhand shows.
func TestEveryCommandHasItsMessage(t *testing.T) {
	text, err := os.ReadFile("../../deploy/nats.md")
	if err != nil {
		t.Fatal(err)
	}
	page := strings.Join(strings.Fields(string(text)), " ")
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			walk(sub)
		}
		if c.Runnable() && !c.HasSubCommands() && !strings.HasPrefix(c.CommandPath(), "tidemark completion") && !strings.Contains(page, c.CommandPath()) {
			t.Errorf("deploy/nats.md does not say which message does what %s does", c.CommandPath())
		}
	}
	walk((&app{}).root())
}
