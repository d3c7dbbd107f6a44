package vcenter_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
)

// A disk was extended and another one added since the point: the VM of a failover to it
// has the disks that the point has.
func TestAnOlderPointHasTheDisksThatItHad(t *testing.T) {
	w := failover(t, nil)
	before := w.picture(w.b)
	first := w.group("shop-web01").Source.Disks[0]
	w.then = []cdp.Disk{{Name: first.Name, Size: mib}}
	b := w.step(api.VMBuild, true)
	if len(b.Paths) != 1 {
		t.Fatalf("the test's disks: %v", b.Paths)
	}
	if st, err := os.Stat(b.Paths[0]); err != nil || st.Size() != mib || int64(first.Size) == mib {
		t.Errorf("%v %v; the disk has %d bytes now", st, err, first.Size)
	}
	a := w.step(api.VMAttach, true)
	if v, _ := w.vm(w.b, a.VM.Name); len(v.Hardware.Disks) != 1 {
		t.Errorf("the test VM has %+v", v.Hardware.Disks)
	}
	w.step(api.VMRemove, true)
	if after := w.picture(w.b); after != before {
		t.Errorf("after the test:\n%s\nbefore:\n%s", after, before)
	}
	w.step(api.VMAttach, false)
	if v, _ := w.vm(w.b, "web01-replica"); len(v.Hardware.Disks) != 1 {
		t.Errorf("the replica VM has %+v", v.Hardware.Disks)
	}
	w.step(api.VMReturn, false)
	lines := func(s string) []string { return slices.Sorted(strings.SplitSeq(s, "\n")) }
	if after := w.picture(w.b); !slices.Equal(lines(after), lines(before)) { // in any order
		t.Errorf("after undo:\n%s\nbefore:\n%s", after, before)
	}
}
