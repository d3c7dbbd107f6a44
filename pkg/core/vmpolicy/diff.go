package vmpolicy

import (
	"fmt"
	"maps"
	"slices"

	"tidemark.dev/pkg/contract/inventory"
)

// Change is a difference between a VM's hardware and its replica's.
type Change struct {
	Kind string // cpu, memory, options, controllers, nic, extra, disk-removed, disk-resized, disk-replaced, disk-moved, firmware, security
	// Follow: the replica VM can be reconfigured to match. Otherwise replication
	// continues unchanged, and Text says what is missing.
	Follow bool
	Text   string
}

// Diff compares a VM's hardware with an earlier state. only are the replicated
// disks as they were; other disks were excluded. Disks that were removed or moved are
// followed by Gone, those that grew or were added by Grown: what Diff says of them is
// what neither follows.
func Diff(was, is inventory.Hardware, only []inventory.MemberDisk) []Change {
	var out []Change
	add := func(kind string, follow bool, format string, args ...any) {
		out = append(out, Change{kind, follow, fmt.Sprintf(format, args...)})
	}
	if was.CPUs != is.CPUs || was.PerSocket != is.PerSocket {
		add("cpu", true, "%d CPUs became %d", was.CPUs, is.CPUs)
	}
	if was.MemoryMB != is.MemoryMB {
		add("memory", true, "%d MiB of memory became %d MiB", was.MemoryMB, is.MemoryMB)
	}
	options := func(h inventory.Hardware) [5]bool {
		return [5]bool{h.NestedHV, h.CPUHotAdd, h.MemoryHotAdd, h.VBS, h.IOMMU}
	}
	if options(was) != options(is) {
		add("options", true, "its options for CPUs and memory changed")
	}
	bus := func(c inventory.Controller) string { return fmt.Sprintf("%s/%d", c.Kind, c.Bus) }
	if slices.ContainsFunc(texts(is.Controllers, bus), func(c string) bool { return !slices.Contains(texts(was.Controllers, bus), c) }) {
		add("controllers", true, "its disk controllers changed")
	}
	nic := func(n inventory.NIC) string { return fmt.Sprintf("%d/%s/%s/%v", n.Key, n.Kind, n.NetName, n.Connected) }
	if !slices.Equal(texts(was.NICs, nic), texts(is.NICs, nic)) {
		add("nic", true, "its network cards changed")
	}
	if !maps.Equal(ReplicaHardware(was).Extra, ReplicaHardware(is).Extra) {
		add("extra", true, "its advanced settings changed")
	}
	if was.Firmware != is.Firmware || was.SecureBoot != is.SecureBoot {
		add("firmware", false, "its firmware changed from %s to %s", firmware(was), firmware(is))
	}
	if is.TPM && !was.TPM || is.Encrypted && !was.Encrypted {
		add("security", false, "it now has a vTPM or is encrypted, which cannot be replicated")
	}
	out = append(out, diffDisks(is, only)...)
	return out
}

func diffDisks(is inventory.Hardware, only []inventory.MemberDisk) []Change {
	var out []Change
	add := func(kind, format string, args ...any) {
		out = append(out, Change{Kind: kind, Text: fmt.Sprintf(format, args...)})
	}
	for _, d := range only {
		if !d.Gone.IsZero() {
			continue
		}
		i := slices.IndexFunc(is.Disks, func(x inventory.Disk) bool { return x.Key == d.Disk.Key })
		if i < 0 {
			add("disk-removed", "%s (%s) was removed from the VM, and no snapshot contains it: the VM's replication has stopped, and there are no new recovery points. Existing ones and the replica stay. Attach the disk again, or delete the job and apply it again", d.Disk.Label, d.Address)
			continue
		}
		switch x := is.Disks[i]; {
		case x.Size < d.Disk.Size:
			add("disk-resized", "%s (%s) was shrunk to %d bytes from %d: the VM's replication has stopped. Delete the job and apply it again", d.Disk.Label, d.Address, x.Size, d.Disk.Size)
		case x.UUID != d.Disk.UUID:
			add("disk-replaced", "%s (%s) is another disk than before", d.Disk.Label, d.Address)
		case is.Address(x) != d.Address:
			add("disk-moved", "%s was moved from %s to %s", d.Disk.Label, d.Address, is.Address(x))
		}
	}
	return out
}

func texts[T any](in []T, f func(T) string) []string {
	var out []string
	for _, x := range in {
		out = append(out, f(x))
	}
	return out
}

func firmware(h inventory.Hardware) string {
	if h.SecureBoot {
		return h.Firmware + " with secure boot"
	}
	return h.Firmware
}
