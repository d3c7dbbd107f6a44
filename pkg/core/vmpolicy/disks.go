package vmpolicy

import (
	"fmt"
	"slices"

	"tidemark.dev/pkg/contract/inventory"
)

// checkDisks finds the VM's disks that cannot be replicated.
func checkDisks(j inventory.Job, v inventory.VM) []inventory.Problem {
	var problems []inventory.Problem
	bad := func(path, rule, format string, args ...any) {
		problems = append(problems, inventory.Problem{VM: v.Name, Path: path, Rule: rule, Text: fmt.Sprintf(format, args...)})
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
		i := slices.IndexFunc(v.Hardware.Controllers, func(c inventory.Controller) bool { return c.Key == d.Controller })
		if d.RDM == "physical" {
			bad(at, "rdm", "%s is a raw device in physical mode, which has no snapshots%s", what, exclude)
		}
		if d.Sharing {
			bad(at, "shared", "%s is written by several VMs (multi-writer)%s", what, exclude)
		}
		if i >= 0 && v.Hardware.Controllers[i].Sharing != "" && v.Hardware.Controllers[i].Sharing != "none" {
			bad(at, "shared", "%s is on a SCSI bus that is shared with other VMs%s", what, exclude)
		}
		if d.Mode == "independent_persistent" || d.Mode == "independent_nonpersistent" {
			bad(at, "independent", "%s is independent: snapshots do not include it%s", what, exclude)
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

// checkRefs finds references to disks that no VM has.
func checkRefs(j inventory.Job, vms []inventory.VM) []inventory.Problem {
	var problems []inventory.Problem
	look := func(field string, i int, r inventory.DiskRef, one bool) {
		n := 0
		for _, v := range vms {
			for _, d := range v.Hardware.Disks {
				if r.Selects(v, d) {
					n++
				}
			}
		}
		what := fmt.Sprintf("no VM of the job has a disk %q", r.Disk)
		if r.VM != "" {
			what = fmt.Sprintf("%s has no disk %q, or is not a VM of the job", r.VM, r.Disk)
		}
		at := fmt.Sprintf("%s/%d", field, i)
		switch {
		case n == 0:
			problems = append(problems, inventory.Problem{Path: at + "/disk", Rule: "reference", Text: what + ": give its address, such as scsi0:1, or its label"})
		case n > 1 && one:
			problems = append(problems, inventory.Problem{Path: at + "/disk", Rule: "ambiguous", Text: fmt.Sprintf("%d disks are %q: name the VM", n, r.Disk)})
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
