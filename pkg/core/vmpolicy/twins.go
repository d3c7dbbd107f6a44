package vmpolicy

import (
	"fmt"
	"slices"

	"tidemark.dev/pkg/contract/inventory"
)

// checkTwins finds disks that the transporter could not tell from another disk. It
// is a warning while no job protects the other disk's VM.
func checkTwins(s Situation, v inventory.VM) []inventory.Problem {
	var problems []inventory.Problem
	for _, d := range s.Job.Source.Chosen(v) {
		i := slices.IndexFunc(s.Twins, func(t inventory.Twin) bool { return t.Disk == d.UUID })
		if i < 0 {
			continue
		}
		own := 0
		for _, of := range s.Twins[i].Of {
			if of.UUID == v.UUID {
				if own++; own == 1 { // the disk itself
					continue
				}
			}
			protected := of.UUID == v.UUID || s.Taken[of.UUID] != "" ||
				slices.ContainsFunc(s.Members, func(m inventory.VM) bool { return m.UUID == of.UUID })
			advice := "give one of them another UUID while its VM is off: vmkfstools -J setuuid"
			if !protected {
				advice = "do not protect both, or " + advice
			}
			problems = append(problems, inventory.Problem{VM: v.Name, Path: "/spec/source/vms", Rule: "twin", Warning: !protected,
				Text: fmt.Sprintf("%s (%s) has the UUID %s, and so has a disk of %s: a transporter could not tell them apart; %s",
					d.Label, v.Hardware.Address(d), d.UUID, of.Path, advice)})
		}
	}
	return problems
}
