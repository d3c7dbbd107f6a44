package byhand

import (
	"os"
	"strings"
	"testing"
)

// line is something that a document shows for a shell, with what it says beside it.
type line struct{ script, note string }

// lines are what a document has for the NATS CLI, in order. A text in quotes may go over
// several lines.
func lines(t *testing.T, document string) (out []line) {
	t.Helper()
	text, err := os.ReadFile("../../" + document)
	if err != nil {
		t.Fatal(err)
	}
	open := ""
	for row := range strings.Lines(string(text)) {
		row, code := strings.CutPrefix(strings.TrimRight(row, "\n"), "    ")
		if !code || open == "" && !strings.HasPrefix(row, "nats ") && !strings.HasPrefix(row, "tidemark nats-context") {
			continue
		}
		open += row
		script, note, _ := strings.Cut(open, "    # ")
		if strings.Count(script, "'")%2 == 1 {
			continue
		}
		out, open = append(out, line{strings.TrimSpace(script), strings.TrimSpace(note)}), ""
	}
	if len(out) < 5 || open != "" {
		t.Fatalf("%s: only %d lines, and then %q", document, len(out), open)
	}
	return out
}

// subject is where a line sends something, taken apart: tidemark, cmd, v1, site, service, verb.
func (l line) subject() []string {
	f := strings.Fields(l.script)
	if len(f) > 2 && (f[1] == "req" || f[1] == "pub") {
		return strings.Split(f[2], ".")
	}
	return nil
}
