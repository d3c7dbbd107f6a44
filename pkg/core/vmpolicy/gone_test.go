package vmpolicy_test

import (
	"testing"
	"time"

	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/core/vmpolicy"
)

// A disk that the VM does not have any more is gone, one in another slot has moved, and
// the others stay as they are. What takes the place of a disk is a new one.
func TestAMemberFollowsDisksThatAreRemovedOrMoved(t *testing.T) {
	at := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	was := web("web01")
	var disks []inventory.MemberDisk
	for _, d := range was.Hardware.Disks {
		disks = append(disks, inventory.MemberDisk{Name: vmpolicy.DiskName(was.Hardware.Address(d)), Disk: d, Address: was.Hardware.Address(d), File: "[ds1] x.vmdk", UUID: "r"})
	}
	for name, c := range map[string]struct {
		change  func(*inventory.VM)
		gone    bool
		address string
		did     string
		added   int // disks that are new in consequence
		follows bool
	}{
		"nothing":          {func(*inventory.VM) {}, false, "scsi0:1", "", 0, true},
		"removed":          {func(v *inventory.VM) { v.Hardware.Disks = v.Hardware.Disks[:1] }, true, "scsi0:1", "was removed from the VM", 0, true},
		"shrunk":           {func(v *inventory.VM) { v.Hardware.Disks[1].Size /= 2 }, true, "scsi0:1", "it is another disk", 1, true},
		"a larger one":     {func(v *inventory.VM) { v.Hardware.Disks[1].Size, v.Hardware.Disks[1].UUID = 9<<30, "z" }, true, "scsi0:1", "it is another disk", 1, true},
		"moved":            {func(v *inventory.VM) { v.Hardware.Disks[1].Unit, v.Hardware.Disks[1].Key = 4, 2004 }, false, "scsi0:4", "from scsi0:1 to scsi0:4", 0, true},
		"extended":         {func(v *inventory.VM) { v.Hardware.Disks[1].Size *= 2 }, false, "scsi0:1", "", 0, true},
		"all removed":      {func(v *inventory.VM) { v.Hardware.Disks = nil }, false, "scsi0:1", "", 0, false},
		"not seen clearly": {func(v *inventory.VM) { v.Hardware.Disks, v.State = v.Hardware.Disks[:1], "inaccessible" }, false, "scsi0:1", "", 0, false},
	} {
		v := web("web01")
		c.change(&v)
		now, did := vmpolicy.Gone(v, disks, at)
		if len(now) != 2 || now[1].Gone.Equal(at) != c.gone || now[1].Address != c.address || !says(did, c.did) || !disks[1].Gone.IsZero() {
			t.Errorf("%s: %+v, did %q", name, now, did)
		}
		seen := was.Hardware
		seen.Disks = vmpolicy.Seen(was.Hardware, v.Hardware, disks, now)
		grown, _, cannot := vmpolicy.Grown(job(), seen, v, now)
		if len(grown) != 2+c.added || len(cannot) > 0 {
			t.Errorf("%s: then %+v, cannot %q", name, grown, cannot)
		}
		if trouble := vmpolicy.Diff(was.Hardware, v.Hardware, now); (len(trouble) == 0) != c.follows {
			t.Errorf("%s: what is left is %+v", name, trouble)
		}
	}
}

// A disk that comes back is a new one, for somebody may have written to it meanwhile.
func TestADiskThatComesBackIsANewOne(t *testing.T) {
	v := web("web01")
	var disks []inventory.MemberDisk
	for _, d := range v.Hardware.Disks {
		disks = append(disks, inventory.MemberDisk{Name: vmpolicy.DiskName(v.Hardware.Address(d)), Disk: d, Address: v.Hardware.Address(d), File: "[ds1] x.vmdk"})
	}
	without := web("web01")
	without.Hardware.Disks = without.Hardware.Disks[:1]
	now, _ := vmpolicy.Gone(without, disks, time.Unix(1, 0))
	seen := v.Hardware
	seen.Disks = vmpolicy.Seen(v.Hardware, without.Hardware, disks, now)
	back, did := vmpolicy.Gone(v, now, time.Unix(2, 0))
	if len(did) > 0 {
		t.Errorf("did %q", did)
	}
	again := seen
	again.Disks = vmpolicy.Seen(seen, v.Hardware, now, back)
	grown, did, _ := vmpolicy.Grown(job(), again, v, back)
	if len(grown) != 3 || grown[2].Name != "scsi0-1-2" || !grown[2].Gone.IsZero() || !grown[1].Gone.Equal(time.Unix(1, 0)) || !says(did, "is new") {
		t.Errorf("%+v, did %q", grown, did)
	}
	never := disks[:1:1]
	never = append(never, inventory.MemberDisk{Name: "x", Disk: inventory.Disk{Key: 2009, UUID: "x"}})
	if now, _ := vmpolicy.Gone(v, never, time.Unix(1, 0)); len(now) != 1 {
		t.Errorf("a disk without a replica is kept: %+v", now)
	}
}
