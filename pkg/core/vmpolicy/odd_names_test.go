package vmpolicy_test

import (
	"strings"
	"testing"

	"tidemark.dev/pkg/core/vmpolicy"
)

// A source datastore whose name is written differently in paths causes one warning that
// names it, even if only the base of a snapshot is on it.
func TestOddNamesOfASourcesDatastoresAreTold(t *testing.T) {
	for _, c := range []struct {
		file, below string
		warns       string
	}{
		{"[ds 1] web01/web01.vmdk", "", ""},
		{"[ds%2f1] web01/web01.vmdk", "[ds%2f1] web01/web01-base.vmdk", `"ds%2f1"`},
		{"[ds[1]] web01/web01.vmdk", "", `"ds[1]"`},
		{"[ds1] web01/a%b.vmdk", "[x/y] web01/web01.vmdk", `"x/y"`},
	} {
		s := situation()
		s.Members = s.Members[:1]
		for i := range s.Members[0].Hardware.Disks {
			d := &s.Members[0].Hardware.Disks[i]
			if d.File = c.file; c.below != "" {
				d.Below = []string{c.below}
			}
		}
		got := vmpolicy.Check(s)
		if c.warns == "" && len(got) > 0 || c.warns != "" && (len(got) != 1 || !got[0].Warning || got[0].UUID != "uuid-web01" || !strings.Contains(got[0].Text, c.warns)) {
			t.Errorf("%s: %+v", c.file, got)
		}
	}
}
