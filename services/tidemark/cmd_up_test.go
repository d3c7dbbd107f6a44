package main

import (
	"bytes"
	"os"
	"os/exec"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/client"
	"tidemark.dev/services/node"
)

// The command that up shows runs as it stands, in the shell in which up was started:
// with the program as it was called, and a directory that has spaces.
func TestTheCommandThatUpShowsRuns(t *testing.T) {
	dir := t.TempDir() + "/my data"
	var out bytes.Buffer
	a := &app{out: &out}
	a.greet(node.Started{Dir: dir, Context: client.Context{Default: "dr", Sites: map[cdp.Site]client.SiteRef{}}})
	wants(t, out.String(), "Try:  "+quoted(os.Args[0])+" status --dir '"+dir+"'\n")
	for _, name := range []string{"plain-1.0/a", "two words", "it's", "a?b&c*", "$x", "`x`", "é"} {
		got, err := exec.Command("sh", "-c", "printf %s "+quoted(name)).Output()
		if err != nil || string(got) != name {
			t.Errorf("%q as %s is %q: %v", name, quoted(name), got, err)
		}
	}
}

// A site without users and passwords is said to be one, where the operator looks.
func TestAnOpenSiteIsSaidToBeOpen(t *testing.T) {
	for _, open := range []bool{false, true} {
		var out bytes.Buffer
		(&app{out: &out}).greet(node.Started{Open: open})
		if bytes.Contains(out.Bytes(), []byte("can do anything")) != open {
			t.Errorf("open: %v:\n%s", open, &out)
		}
	}
}
