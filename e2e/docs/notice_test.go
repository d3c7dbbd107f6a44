package docs

import (
	"os/exec"
	"strings"
	"testing"
)

// NOTICE names every module that is linked into the binary.
func TestNoticeNamesEveryModule(t *testing.T) {
	cmd := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}}{{end}}{{end}}", "./services/tidemark")
	cmd.Dir = top
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	notice, n := read(t, "NOTICE"), 0
	for path := range strings.FieldsSeq(string(out)) {
		if n++; !strings.HasPrefix(path, "tidemark.dev/") && !strings.Contains(notice, "\n"+path+" ") {
			t.Errorf("NOTICE does not name %s: add its licence", path)
		}
	}
	if n < 10 {
		t.Errorf("only %d packages are linked: %s", n, out)
	}
}
