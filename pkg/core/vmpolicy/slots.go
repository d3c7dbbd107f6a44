package vmpolicy

import (
	"fmt"
	"slices"

	"tidemark.dev/pkg/contract/inventory"
)

// FreeSlots is how many more disks a transporter can have: on its pvscsi controllers,
// and on those that can be added.
func FreeSlots(v inventory.VM) int {
	each := 15
	if hwNumber(v.Hardware.Version) >= 14 {
		each = 63
	}
	free, buses := 0, 4
	for _, c := range v.Hardware.Controllers {
		switch c.Kind {
		case "pvscsi":
			buses--
			free += each
			for _, d := range v.Hardware.Disks {
				if d.Controller == c.Key {
					free--
				}
			}
		case "lsilogic", "lsilogic-sas", "buslogic":
			buses--
		}
	}
	return free + buses*each
}

// WithoutFrozen is a transporter without the frozen disks that passes have attached for
// a while.
func WithoutFrozen(v inventory.VM) inventory.VM {
	v.Hardware.Disks = slices.DeleteFunc(slices.Clone(v.Hardware.Disks), func(d inventory.Disk) bool { return d.Mode == "independent_nonpersistent" })
	return v
}

// checkSourceSlots finds whether the source's transporter can take the frozen disks of
// each VM, which a pass needs all at once, and warns if passes will have to wait for
// each other.
func checkSourceSlots(s Situation) []inventory.Problem {
	if s.SourceSlots == nil {
		return nil
	}
	var problems []inventory.Problem
	free, all := s.SourceSlots.Free, 0
	if s.SourceSlots.UUID == s.Transporter.UUID { // which will have the replicas' disks, too
		for _, v := range s.Members {
			if !s.Made[v.UUID] {
				free -= len(s.Job.Source.Chosen(v))
			}
		}
		free = max(free, 0)
	}
	for _, v := range s.Members {
		n := len(s.Job.Source.Chosen(v))
		all += n
		if n > free {
			problems = append(problems, inventory.Problem{VM: v.Name, UUID: v.UUID, Path: "/spec/source/vms", Rule: "source-slots",
				Text: fmt.Sprintf("it has %d disks, which are read at once, and the source's transporter %s has %d free slots: exclude disks, or give the transporter hardware version 14 or more paravirtual controllers", n, s.SourceSlots.Name, free)})
		}
	}
	if len(problems) == 0 && all > free {
		problems = append(problems, inventory.Problem{Path: "/spec/source/vms", Rule: "source-slots", Warning: true,
			Text: fmt.Sprintf("the VMs have %d disks, and the source's transporter %s has %d free slots: their passes will wait for each other", all, s.SourceSlots.Name, free)})
	}
	return problems
}

// checkSlots finds whether the transporter has room for the disks of the replicas that
// are not made yet, and besides for a test failover, which has disks of its own.
func checkSlots(s Situation) []inventory.Problem {
	if s.Transporter.UUID == "" {
		return nil
	}
	fresh, test, whose := 0, 0, ""
	for _, v := range s.Members {
		n := len(s.Job.Source.Chosen(v))
		if !s.Made[v.UUID] {
			fresh += n
		}
		if n > test {
			test, whose = n, v.Name
		}
	}
	free := FreeSlots(s.Transporter)
	bad := func(warning bool, format string, args ...any) []inventory.Problem {
		return []inventory.Problem{{Path: "/spec/source/vms", Rule: "slots", Warning: warning, Text: fmt.Sprintf(format, args...)}}
	}
	switch {
	case fresh > free:
		return bad(false, "the replicas have %d new disks, but the target's transporter %s has free slots for %d: exclude VMs or disks, or protect them at another site", fresh, s.Transporter.Name, free)
	case test > free-fresh:
		return bad(true, "the target's transporter %s has %d free slots for disks left: a test failover of %s to a VM needs %d, so it will be refused; use --to nbd", s.Transporter.Name, free-fresh, whose, test)
	}
	return nil
}
