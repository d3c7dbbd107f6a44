package inventory

import (
	"slices"
)

// Selects reports whether the reference means a disk of a VM, by address or label.
func (r DiskRef) Selects(v VM, d Disk) bool {
	return (r.VM == "" || r.VM == v.Name) && (r.Disk == v.Hardware.Address(d) || r.Disk == d.Label)
}

// Chosen are the VM's disks that a job replicates, in the VM's order.
func (s JobSource) Chosen(v VM) []Disk {
	return slices.DeleteFunc(slices.Clone(v.Hardware.Disks), func(d Disk) bool {
		return slices.ContainsFunc(s.ExcludeDisks, func(r DiskRef) bool { return r.Selects(v, d) })
	})
}

// DatastoreOf is the datastore for a disk's replica, by name or path as the job
// has it.
func (t JobTarget) DatastoreOf(v VM, d Disk) string {
	for _, p := range t.Disks {
		if p.Selects(v, d) {
			return p.Datastore
		}
	}
	return t.Datastore
}

// SeedOf is the file that already holds a copy of a disk; empty: none.
func (t JobTarget) SeedOf(v VM, d Disk) string {
	if i := t.SeedIndex(v, d); i >= 0 {
		return t.Seeds[i].File
	}
	return ""
}

// SeedIndex is the index in Seeds of a disk's seed, -1 for none.
func (t JobTarget) SeedIndex(v VM, d Disk) int {
	return slices.IndexFunc(t.Seeds, func(s Seed) bool { return s.Selects(v, d) })
}

// ReplicaName is the name of a VM's replica.
func (t JobTarget) ReplicaName(vm string) string {
	if t.Suffix == "" {
		return vm + "-replica"
	}
	return vm + t.Suffix
}
