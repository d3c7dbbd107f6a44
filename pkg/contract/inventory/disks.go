package inventory

import (
	"fmt"
	"slices"
)

// is says whether a disk of a VM is meant: by address or label.
func (r DiskRef) is(v VM, d Disk) bool {
	return (r.VM == "" || r.VM == v.Name) && (r.Disk == v.Hardware.Address(d) || r.Disk == d.Label)
}

// Chosen are the VM's disks that a job replicates, in the VM's order.
func (s JobSource) Chosen(v VM) []Disk {
	return slices.DeleteFunc(slices.Clone(v.Hardware.Disks), func(d Disk) bool {
		return slices.ContainsFunc(s.ExcludeDisks, func(r DiskRef) bool { return r.is(v, d) })
	})
}

// DatastoreOf is where the replica of a disk is put, as the job names it.
func (t JobTarget) DatastoreOf(v VM, d Disk) string {
	for _, p := range t.Disks {
		if p.is(v, d) {
			return p.Datastore
		}
	}
	return t.Datastore
}

// SeedOf is the file that holds a copy of a disk already; empty: none.
func (t JobTarget) SeedOf(v VM, d Disk) string {
	if i := t.seedOf(v, d); i >= 0 {
		return t.Seeds[i].File
	}
	return ""
}

func (t JobTarget) seedOf(v VM, d Disk) int {
	return slices.IndexFunc(t.Seeds, func(s Seed) bool { return s.is(v, d) })
}

// ReplicaName is the name of a VM's replica.
func (t JobTarget) ReplicaName(vm string) string {
	if t.Suffix == "" {
		return vm + "-replica"
	}
	return vm + t.Suffix
}

// checkDisks finds what cannot be replicated of a VM's disks.
func checkDisks(j Job, v VM) []Problem {
	var problems []Problem
	bad := func(path, rule, format string, args ...any) {
		problems = append(problems, Problem{VM: v.Name, Path: path, Rule: rule, Text: fmt.Sprintf(format, args...)})
	}
	const exclude = "; exclude it to protect the rest of the VM"
	chosen := j.Source.Chosen(v)
	if len(chosen) == 0 {
		if len(v.Hardware.Disks) == 0 {
			bad("/spec/source/vms", "disks", "it has no disks")
		} else {
			bad("/spec/source/excludeDisks", "disks", "all its disks are excluded")
		}
	}
	for _, d := range chosen {
		what := fmt.Sprintf("%s (%s)", d.Label, v.Hardware.Address(d))
		at := "/spec/source/vms"
		i := slices.IndexFunc(v.Hardware.Controllers, func(c Controller) bool { return c.Key == d.Controller })
		if d.RDM == "physical" {
			bad(at, "rdm", "%s is a raw device in physical mode, of which there are no snapshots%s", what, exclude)
		}
		if d.Sharing {
			bad(at, "shared", "%s is written by several VMs (multi-writer)%s", what, exclude)
		}
		if i >= 0 && v.Hardware.Controllers[i].Sharing != "" && v.Hardware.Controllers[i].Sharing != "none" {
			bad(at, "shared", "%s is on a SCSI bus that is shared with other VMs%s", what, exclude)
		}
		if d.Mode == "independent_persistent" || d.Mode == "independent_nonpersistent" {
			bad(at, "independent", "%s is independent: snapshots leave it out%s", what, exclude)
		}
		if d.Size <= 0 || d.Size%512 != 0 {
			bad(at, "size", "%s has a size of %d bytes", what, d.Size)
		}
		if len(d.Below) > maxDepth {
			bad(at, "chain", "%s has a chain of %d snapshots, more than %d: remove some, or consolidate", what, len(d.Below), maxDepth)
		}
	}
	return problems
}

// checkRefs finds disks that are named but not there.
func checkRefs(j Job, vms []VM) []Problem {
	var problems []Problem
	look := func(field string, i int, r DiskRef, one bool) {
		n := 0
		for _, v := range vms {
			for _, d := range v.Hardware.Disks {
				if r.is(v, d) {
					n++
				}
			}
		}
		what := fmt.Sprintf("no VM of the job has a disk %q", r.Disk)
		if r.VM != "" {
			what = fmt.Sprintf("%s has no disk %q, or is no VM of the job", r.VM, r.Disk)
		}
		at := fmt.Sprintf("%s/%d", field, i)
		switch {
		case n == 0:
			problems = append(problems, Problem{Path: at + "/disk", Rule: "reference", Text: what + ": write its address, as scsi0:1, or its label"})
		case n > 1 && one:
			problems = append(problems, Problem{Path: at + "/disk", Rule: "ambiguous", Text: fmt.Sprintf("%d disks are %q: name the VM", n, r.Disk)})
		}
	}
	for i, r := range j.Source.ExcludeDisks {
		look("/spec/source/excludeDisks", i, r, false)
	}
	for i, r := range j.Target.Disks {
		look("/spec/target/disks", i, r.DiskRef, false)
	}
	for i, r := range j.Target.Seeds {
		look("/spec/target/seeds", i, r.DiskRef, true)
	}
	return problems
}
