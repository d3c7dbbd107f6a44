package vmpolicy

import (
	"os"
	"strings"
	"testing"
)

// The table in the documentation is the one that is checked.
func TestPrivilegesAreDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../../deploy/vsphere.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for l := range strings.Lines(string(doc)) {
		if cells := strings.Split(l, "|"); len(cells) == 5 && strings.HasPrefix(cells[1], " `") {
			rows[strings.Trim(cells[1], " `")] = cells[2] + "|" + cells[3]
		}
	}
	known := map[string]bool{}
	for _, p := range Privileges() {
		known[p.ID] = true
		if r := rows[p.ID]; !strings.Contains(r, string(p.Role)) || !strings.Contains(r, p.Purpose) {
			t.Errorf("%s (%s: %s) is not so in deploy/vsphere.md: %q", p.ID, p.Role, p.Purpose, r)
		}
	}
	for id := range rows {
		if !known[id] {
			t.Errorf("deploy/vsphere.md asks for %s, which nothing needs", id)
		}
	}
}
