package vmpolicy

import (
	"fmt"
	"slices"
	"time"

	"tidemark.dev/pkg/contract/inventory"
)

// Gone are a member's disks once they follow those that its VM does not have any more,
// or has in other slots. did says in words what they follow. A disk that is gone keeps
// its place in the group: older recovery points have it. A disk that shrank, or whose
// slot has one of another size, is gone, and Grown finds the new one. A VM that has lost
// all its disks, or that the vCenter cannot see, is left alone. disks stay as they are.
func Gone(v inventory.VM, disks []inventory.MemberDisk, at time.Time) (now []inventory.MemberDisk, did []string) {
	if v.State != "" && v.State != "connected" {
		return disks, nil
	}
	left := 0
	for _, d := range disks {
		if d.Gone.IsZero() {
			var text string
			if d, text = whereIs(v, d, disks, at); text != "" {
				did = append(did, text)
			}
		}
		if d.Gone.IsZero() {
			left++
		} else if d.File == "" {
			continue // it was never made, and no job has it
		}
		now = append(now, d)
	}
	if left == 0 {
		return disks, nil
	}
	return now, did
}

// whereIs is a disk as the VM has it now, and what about that is new.
func whereIs(v inventory.VM, d inventory.MemberDisk, all []inventory.MemberDisk, at time.Time) (inventory.MemberDisk, string) {
	h := v.Hardware
	same := slices.IndexFunc(h.Disks, func(x inventory.Disk) bool { return x.Key == d.Disk.Key })
	if same < 0 || h.Disks[same].UUID != d.Disk.UUID {
		if i := movedTo(h, d, all); i >= 0 {
			same = i
		}
	}
	if same < 0 {
		d.Gone = at
		return d, fmt.Sprintf("%s (%s) was removed from the VM: recovery points from now on are without it; older ones have it, and its replica stays", d.Disk.Label, d.Address)
	}
	x := h.Disks[same]
	if x.Size < d.Disk.Size || x.UUID != d.Disk.UUID && x.Size != d.Disk.Size {
		d.Gone = at
		return d, fmt.Sprintf("%s (%s) has %d bytes and had %d, so it is another disk: it is replicated as a new one; older recovery points have the earlier one, and its replica stays", d.Disk.Label, d.Address, x.Size, d.Disk.Size)
	}
	if to := h.Address(x); x.UUID == d.Disk.UUID && to != d.Address {
		text := fmt.Sprintf("%s was moved from %s to %s", d.Disk.Label, d.Address, to)
		d.Disk.Key, d.Disk.Controller, d.Disk.Unit, d.Address = x.Key, x.Controller, x.Unit, to
		return d, text
	}
	return d, ""
}

// movedTo is where a disk is that is not in its slot any more, by its UUID; -1 if it is
// nowhere, or in the slot of another disk of the member.
func movedTo(h inventory.Hardware, d inventory.MemberDisk, all []inventory.MemberDisk) int {
	is := func(x inventory.Disk) bool { return x.UUID == d.Disk.UUID && d.Disk.UUID != "" }
	i := slices.IndexFunc(h.Disks, is)
	if i < 0 || slices.ContainsFunc(h.Disks[i+1:], is) {
		return -1
	}
	if slices.ContainsFunc(all, func(o inventory.MemberDisk) bool {
		return o.Gone.IsZero() && o.Disk.UUID == h.Disks[i].UUID && o.Name != d.Name
	}) {
		return -1
	}
	return i
}

// Seen are the disks that a VM was seen with and that need not be looked at again: those
// of the member, and those that it was seen with before and still has, which the job
// leaves out.
func Seen(was, is inventory.Hardware, before, now []inventory.MemberDisk) []inventory.Disk {
	of := func(all []inventory.MemberDisk, key int32) bool {
		return slices.ContainsFunc(all, func(d inventory.MemberDisk) bool { return d.Gone.IsZero() && d.Disk.Key == key })
	}
	var out []inventory.Disk
	for _, d := range was.Disks {
		if !of(before, d.Key) && !of(now, d.Key) && slices.ContainsFunc(is.Disks, func(x inventory.Disk) bool { return x.Key == d.Key }) {
			out = append(out, d)
		}
	}
	for _, d := range now {
		if d.Gone.IsZero() {
			out = append(out, d.Disk)
		}
	}
	return out
}
