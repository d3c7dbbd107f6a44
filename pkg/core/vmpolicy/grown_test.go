package vmpolicy_test

import (
	"strings"
	"testing"

	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/core/vmpolicy"
)

// A member follows disks that grow and disks that are new, unless the job excludes them
// or nothing could replicate them.
func TestAMemberFollowsItsVMsDisks(t *testing.T) {
	was := web("web01")
	var disks []inventory.MemberDisk
	for _, d := range was.Hardware.Disks {
		disks = append(disks, inventory.MemberDisk{Name: vmpolicy.DiskName(was.Hardware.Address(d)), Disk: d, Address: was.Hardware.Address(d), File: "[ds1] x.vmdk", UUID: "r"})
	}
	extra := inventory.Disk{Key: 2009, Label: "Hard disk 3", Controller: 1000, Unit: 9, Size: 1 << 30, UUID: "new", Mode: "persistent"}
	for name, c := range map[string]struct {
		change      func(*inventory.VM, *inventory.Job)
		did, cannot string
		disks       int
		extend      int64
	}{
		"nothing":  {func(*inventory.VM, *inventory.Job) {}, "", "", 2, 0},
		"extended": {func(v *inventory.VM, _ *inventory.Job) { v.Hardware.Disks[1].Size = 9 << 30 }, "was extended", "", 2, 9 << 30},
		"another disk in its place": {func(v *inventory.VM, _ *inventory.Job) {
			v.Hardware.Disks[1].Size, v.Hardware.Disks[1].UUID = 9<<30, "z"
		}, "", "", 2, 0},
		"added": {func(v *inventory.VM, _ *inventory.Job) { v.Hardware.Disks = append(v.Hardware.Disks, extra) }, "is new, and is replicated", "", 3, 0},
		"added and excluded": {func(v *inventory.VM, j *inventory.Job) {
			v.Hardware.Disks = append(v.Hardware.Disks, extra)
			j.Source.ExcludeDisks = []inventory.DiskRef{{VM: "web01", Disk: "scsi0:9"}}
		}, "", "", 2, 0},
		"added and independent": {func(v *inventory.VM, _ *inventory.Job) {
			d := extra
			d.Mode = "independent_persistent"
			v.Hardware.Disks = append(v.Hardware.Disks, d)
		}, "", "is new and not replicated", 2, 0},
	} {
		v, j := web("web01"), job()
		c.change(&v, &j)
		now, did, cannot := vmpolicy.Grown(j, was.Hardware, v, disks)
		if len(now) != c.disks || now[1].Extend != c.extend || !says(did, c.did) || !says(cannot, c.cannot) {
			t.Errorf("%s: %+v, did %q, cannot %q", name, now, did, cannot)
		}
	}
	// Seen once, a disk that the job leaves out stays out; a slot's name is not used twice.
	seen := web("web01")
	seen.Hardware.Disks = append(seen.Hardware.Disks, extra)
	if now, did, _ := vmpolicy.Grown(job(), seen.Hardware, seen, disks); len(now) != 2 || len(did) > 0 {
		t.Errorf("%+v %q", now, did)
	}
	swapped := web("web01")
	swapped.Hardware.Disks[1].Key, swapped.Hardware.Disks[1].UUID = 2010, "y"
	if now, _, _ := vmpolicy.Grown(job(), was.Hardware, swapped, disks); len(now) != 3 || now[2].Name == now[1].Name {
		t.Errorf("%+v", now)
	}
}

// says reports whether there is one text, and it has this part; with none: no text.
func says(texts []string, part string) bool {
	if part == "" {
		return len(texts) == 0
	}
	return len(texts) == 1 && strings.Contains(texts[0], part)
}
