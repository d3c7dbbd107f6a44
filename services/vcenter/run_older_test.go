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
	if after := w.picture(w.b); sortedLines(after) != sortedLines(before) {
		t.Errorf("after undo:\n%s\nbefore:\n%s", after, before)
	}

	// Committed, nobody will need the disk that was added after the point.
	other := w.group("shop-web01").Target.Disks[1].Path
	file := w.attachedFile("scsi0-1")
	w.step(api.VMAttach, false)
	w.step(api.VMBoot, false)
	text := w.step(api.VMKeep, false).Text
	if !strings.Contains(text, "were deleted") || !strings.Contains(text, file) {
		t.Errorf("committed: %s", text)
	}
	if _, err := w.b.c.DiskSize(w.ctx, w.inventory(w.b).Datacenters[0].Ref, file); !cdp.Is(err, cdp.NotFound) {
		t.Errorf("%s stays: %v", file, err)
	}
	if _, err := os.Stat(other); err == nil || w.attachedFile("scsi0-1") != "" {
		t.Errorf("%s is still at the transporter: %v", other, err)
	}
	w.step(api.VMKeep, false) // once more changes nothing
	if v, _ := w.vm(w.b, "web01-replica"); len(v.Hardware.Disks) != 1 {
		t.Errorf("the VM has %+v", v.Hardware.Disks)
	}
}

// attachedFile is the file of a replica's disk at the transporter of b; empty: none.
func (w *world) attachedFile(disk string) string {
	v, _ := w.vm(w.b, "transporter")
	for _, d := range v.Hardware.Disks {
		if strings.HasSuffix(d.File, "-"+disk+".vmdk") {
			return d.File
		}
	}
	return ""
}

// sortedLines are those of a picture, which lists what is alike in any order.
func sortedLines(picture string) string {
	return strings.Join(slices.Sorted(strings.SplitSeq(picture, "\n")), "\n")
}
