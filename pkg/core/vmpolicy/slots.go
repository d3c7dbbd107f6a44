package vmpolicy

import (
	"fmt"

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
