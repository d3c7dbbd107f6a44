package vmpolicy

import (
	"fmt"
	"slices"

	"tidemark.dev/pkg/contract/inventory"
)

// Grown are a member's disks once they follow those of its VM that were extended, or
// added since it was last seen with the hardware was. did is what they follow, and
// cannot what they do not, in words. disks stay as they are.
func Grown(j inventory.Job, was inventory.Hardware, v inventory.VM, disks []inventory.MemberDisk) (now []inventory.MemberDisk, did, cannot []string) {
	now = slices.Clone(disks)
	for i := range now {
		d := &now[i]
		x := slices.IndexFunc(v.Hardware.Disks, func(x inventory.Disk) bool { return x.Key == d.Disk.Key && x.UUID == d.Disk.UUID })
		if x < 0 || !d.Gone.IsZero() || v.Hardware.Disks[x].Size <= max(d.Disk.Size, d.Extend) {
			continue
		}
		size := v.Hardware.Disks[x].Size
		did = append(did, fmt.Sprintf("%s (%s) was extended to %d bytes, and so is its replica; older recovery points keep the %d bytes that it had", d.Disk.Label, d.Address, size, d.Disk.Size))
		if d.File == "" { // not made yet
			d.Disk.Size = size
		} else {
			d.Extend = size
		}
	}
	for _, x := range j.Source.Chosen(v) {
		same := func(d inventory.Disk) bool { return d.Key == x.Key }
		if slices.ContainsFunc(was.Disks, same) || slices.ContainsFunc(now, func(d inventory.MemberDisk) bool { return d.Gone.IsZero() && same(d.Disk) }) {
			continue
		}
		at := v.Hardware.Address(x)
		alone := v
		alone.Hardware.Disks = []inventory.Disk{x}
		if bad := checkDisks(j, alone); len(bad) > 0 {
			cannot = append(cannot, fmt.Sprintf("%s (%s) is new and not replicated: %s", x.Label, at, bad[0].Text))
			continue
		}
		now = append(now, inventory.MemberDisk{Name: freeName(DiskName(at), now), Disk: x, Address: at})
		did = append(did, fmt.Sprintf("%s (%s) is new, and is replicated from now on; older recovery points do not have it", x.Label, at))
	}
	return now, did, cannot
}

// freeName is a disk's name, or that with a number if a disk that was in its slot
// before has it.
func freeName(name string, disks []inventory.MemberDisk) string {
	free := name
	for n := 2; slices.ContainsFunc(disks, func(d inventory.MemberDisk) bool { return d.Name == free }); n++ {
		free = fmt.Sprintf("%s-%d", name, n)
	}
	return free
}
