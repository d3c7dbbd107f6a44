package main

import (
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// The manual page has every command with its flags, and no text of it is taken for a
// request of troff.
func TestTheManualPageHasEveryCommand(t *testing.T) {
	page, _ := do(t, 0, "", "man")
	plain := strings.NewReplacer(`\-`, "-", `\(dq`, `"`, `\e`, `\`).Replace(page)
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			walk(sub)
		}
		if c.Runnable() && !c.HasSubCommands() && !c.Hidden && c.Name() != "help" && !strings.Contains(plain, ".SS \""+c.CommandPath()) {
			t.Errorf("the page lacks %s", c.CommandPath())
		}
	}
	walk((&app{}).root())
	wants(t, plain, ".TH TIDEMARK 1", ".B --commit-policy", ".B -o, --output")
	request := regexp.MustCompile(`^\.(TH|SH|SS|PP|TP|B|I|RI|nf|fi)( |$)`)
	for line := range strings.SplitSeq(page, "\n") {
		if (strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'")) && !request.MatchString(line) {
			t.Errorf("%q is a request", line)
		}
	}
	if got := troff(".hidden\n'quoted \\n a-b"); got != `\&.hidden`+"\n"+`\&'quoted \en a\-b` {
		t.Error(got)
	}
}
