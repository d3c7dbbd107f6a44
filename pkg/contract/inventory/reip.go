package inventory

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Identify is what a VM's guest is told of its networks when it starts at the
// target; nil where no rule hits. A rule for the VM's NIC goes before one for a
// subnet, an earlier one before a later. A NIC that no rule hits keeps the
// address its guest has, or asks DHCP where none is known. used are the rules
// that hit.
func Identify(v VM, rules []ReIP) (id *Identity, used []int) {
	host, domain, _ := strings.Cut(v.Guest.HostName, ".")
	if host == "" {
		host = cleanName(v.Name)
	}
	out := Identity{HostName: host, Domain: domain, Windows: v.Windows()}
	for i, n := range v.Hardware.NICs {
		had := guestAddress(v.Guest, n)
		nic, rule := had, -1
		for r, x := range rules {
			if x.VM == v.Name && x.NIC == i {
				if p, err := netip.ParsePrefix(x.IP); err == nil && p.Addr().Is4() {
					nic, rule = NICIdentity{IP: p.Addr().String(), Mask: mask(p.Bits()), Gateway: had.Gateway, DNS: had.DNS}, r
					break
				}
			}
		}
		for r, x := range rules {
			if rule >= 0 {
				break
			}
			if moved, ok := x.move(had.IP); ok {
				to, _ := netip.ParsePrefix(x.To)
				nic, rule = NICIdentity{IP: moved, Mask: mask(to.Bits()), DNS: had.DNS}, r
				if gw, ok := x.move(had.Gateway); ok {
					nic.Gateway = gw
				}
			}
		}
		if rule >= 0 {
			used = append(used, rule)
			if x := rules[rule]; x.Gateway != "" {
				nic.Gateway = x.Gateway
			}
			if x := rules[rule]; len(x.DNS) > 0 {
				nic.DNS = x.DNS
			}
		}
		for _, d := range nic.DNS {
			if !slices.Contains(out.DNS, d) {
				out.DNS = append(out.DNS, d)
			}
		}
		out.NICs = append(out.NICs, nic)
	}
	if len(used) == 0 {
		return nil, nil
	}
	return &out, used
}

// Remember is what a guest tells now, with what it told of a NIC before where
// it tells no address of that any more, or none that the rules move while the
// earlier one was moved: a network that is lost is no reason to forget where a
// VM goes. kept says of which addresses the latter is so.
func Remember(was Guest, v VM, rules []ReIP) (g Guest, kept []string) {
	g = v.Guest
	g.NICs = slices.Clone(g.NICs)
	moved := func(a NICIdentity) bool {
		return slices.ContainsFunc(rules, func(x ReIP) bool { _, ok := x.move(a.IP); return ok })
	}
	for i, n := range v.Hardware.NICs {
		had, has := guestAddress(was, n), guestAddress(g, n)
		byName := slices.ContainsFunc(rules, func(x ReIP) bool { return x.VM == v.Name && x.NIC == i })
		if had.IP == "" || has.IP != "" && (byName || moved(has) || !moved(had)) {
			continue
		}
		if has.IP != "" {
			kept = append(kept, fmt.Sprintf("its address %s is in no subnet of the job's reIP rules: %s, which it had, counts still", has.IP, had.IP))
		}
		g.NICs = slices.DeleteFunc(g.NICs, func(x GuestNIC) bool { return x.is(n) })
		g.NICs = append(g.NICs, was.NICs[slices.IndexFunc(was.NICs, func(x GuestNIC) bool {
			return x.is(n) && guestAddress(Guest{NICs: []GuestNIC{x}}, n).IP != ""
		})])
	}
	return g, kept
}

// is says whether a guest's NIC is the VM's.
func (x GuestNIC) is(n NIC) bool {
	return x.Key == n.Key || x.MAC != "" && strings.EqualFold(x.MAC, n.MAC)
}

// Windows says whether the guest is a Windows.
func (v VM) Windows() bool {
	return v.Guest.Family == "windowsGuest" || v.Guest.Family == "" && strings.HasPrefix(strings.ToLower(v.Hardware.GuestID), "win")
}

// move gives the address in To with the same host part, if ip lies in From.
func (r ReIP) move(ip string) (string, bool) {
	if r.VM != "" {
		return "", false
	}
	from, err1 := netip.ParsePrefix(r.From)
	to, err2 := netip.ParsePrefix(r.To)
	a, err3 := netip.ParseAddr(ip)
	if err1 != nil || err2 != nil || err3 != nil || !a.Is4() || !from.Contains(a) || from.Bits() != to.Bits() {
		return "", false
	}
	out, old, net := [4]byte{}, a.As4(), to.Masked().Addr().As4()
	for i := range out {
		m := byte(0)
		if bits := from.Bits() - 8*i; bits >= 8 {
			m = 0xFF
		} else if bits > 0 {
			m = ^byte(0xFF >> bits)
		}
		out[i] = net[i]&m | old[i]&^m
	}
	return netip.AddrFrom4(out).String(), true
}

// guestAddress is a NIC's first IPv4 address as the guest has it.
func guestAddress(g Guest, n NIC) NICIdentity {
	for _, x := range g.NICs {
		if !x.is(n) {
			continue
		}
		for _, s := range x.IPs {
			if p, err := netip.ParsePrefix(s); err == nil && p.Addr().Is4() {
				return NICIdentity{IP: p.Addr().String(), Mask: mask(p.Bits()), Gateway: x.Gateway, DNS: x.DNS}
			}
		}
	}
	return NICIdentity{}
}

func mask(bits int) string {
	m := uint32(0)
	if bits > 0 {
		m = ^uint32(0) << (32 - bits)
	}
	return fmt.Sprintf("%d.%d.%d.%d", m>>24, m>>16&0xFF, m>>8&0xFF, m&0xFF)
}

// checkReIP finds rules that mean nothing, and those that hit no VM.
func checkReIP(rules []ReIP, vms []VM) []Problem {
	var problems []Problem
	used := map[int]bool{}
	for _, v := range vms {
		_, hits := Identify(v, rules)
		for _, h := range hits {
			used[h] = true
		}
	}
	for i, r := range rules {
		at := fmt.Sprintf("/spec/target/reIP/%d", i)
		bad := func(field, rule, format string, args ...any) {
			problems = append(problems, Problem{Path: at + field, Rule: rule, Text: fmt.Sprintf(format, args...)})
		}
		if r.VM != "" {
			p, err := netip.ParsePrefix(r.IP)
			k := slices.IndexFunc(vms, func(v VM) bool { return v.Name == r.VM })
			switch {
			case err != nil || !p.Addr().Is4():
				bad("/ip", "address", "%q: write an IPv4 address with its prefix, as 10.9.0.5/24", r.IP)
			case k < 0:
				bad("/vm", "reference", "the job has no VM %q", r.VM)
			case r.NIC < 0 || r.NIC >= len(vms[k].Hardware.NICs):
				bad("/nic", "reference", "%s has %d network cards, numbered from 0", r.VM, len(vms[k].Hardware.NICs))
			case !used[i]:
				bad("", "unused", "an earlier rule is for the same network card of %s", r.VM)
			}
			continue
		}
		from, err1 := netip.ParsePrefix(r.From)
		to, err2 := netip.ParsePrefix(r.To)
		switch {
		case err1 != nil || !from.Addr().Is4():
			bad("/from", "address", "%q: write an IPv4 subnet, as 10.0.0.0/24", r.From)
		case err2 != nil || !to.Addr().Is4():
			bad("/to", "address", "%q: write an IPv4 subnet, as 10.9.0.0/24", r.To)
		case from.Bits() != to.Bits():
			bad("/to", "size", "%s and %s are not of one size", r.From, r.To)
		case !used[i]:
			// A guest that is off, or has no VMware Tools yet, tells no address.
			bad("/from", "unused", "no VM of the job has an address in %s, as far as VMware Tools tell", r.From)
			problems[len(problems)-1].Warning = true
		}
	}
	return problems
}
