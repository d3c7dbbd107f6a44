package vmpolicy

import (
	"fmt"
	"net/netip"
	"slices"

	"tidemark.dev/pkg/contract/inventory"
)

// checkReIP finds invalid rules, and rules that apply to no VM.
func checkReIP(t inventory.JobTarget, vms []inventory.VM) []inventory.Problem {
	var problems []inventory.Problem
	rules, used := t.ReIP, map[int]bool{}
	for _, v := range vms {
		_, hits := Identify(v, rules, t.LoginOf(v.Name))
		for _, h := range hits {
			used[h] = true
		}
	}
	for i, x := range t.GuestLogins {
		if !slices.ContainsFunc(vms, func(v inventory.VM) bool { return v.Name == x.VM }) {
			problems = append(problems, inventory.Problem{Path: fmt.Sprintf("/spec/target/guestLogins/%d/vm", i), Rule: "reference", Text: fmt.Sprintf("the job has no VM %q", x.VM)})
		}
	}
	for i, r := range rules {
		at := fmt.Sprintf("/spec/target/reIP/%d", i)
		bad := func(field, rule, format string, args ...any) {
			problems = append(problems, inventory.Problem{Path: at + field, Rule: rule, Text: fmt.Sprintf(format, args...)})
		}
		if r.VM != "" {
			p, err := netip.ParsePrefix(r.IP)
			k := slices.IndexFunc(vms, func(v inventory.VM) bool { return v.Name == r.VM })
			switch {
			case err != nil || !p.Addr().Is4():
				bad("/ip", "address", "%q: give an IPv4 address with its prefix, such as 10.9.0.5/24", r.IP)
			case k < 0:
				bad("/vm", "reference", "the job has no VM %q", r.VM)
			case r.NIC < 0 || r.NIC >= len(vms[k].Hardware.NICs):
				bad("/nic", "reference", "%s has %d network cards, numbered from 0", r.VM, len(vms[k].Hardware.NICs))
			case !used[i]:
				bad("", "unused", "an earlier rule applies to the same network card of %s", r.VM)
			}
			continue
		}
		from, err1 := netip.ParsePrefix(r.From)
		to, err2 := netip.ParsePrefix(r.To)
		switch {
		case err1 != nil:
			bad("/from", "address", "%q: give a subnet, such as 10.0.0.0/24", r.From)
		case err2 != nil || to.Addr().Is4() != from.Addr().Is4():
			bad("/to", "address", "%q: give a subnet of the same kind, such as 10.9.0.0/24", r.To)
		case from.Bits() != to.Bits():
			bad("/to", "size", "%s and %s differ in size", r.From, r.To)
		case !used[i]:
			// A guest that is off or has no VMware Tools reports no address.
			bad("/from", "unused", "no VM of the job has an address in %s, according to VMware Tools", r.From)
			problems[len(problems)-1].Warning = true
		}
	}
	return problems
}
