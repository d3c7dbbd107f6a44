package vmpolicy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"tidemark.dev/pkg/contract/inventory"
)

// Identify computes the network configuration of a VM's guest at the target; nil
// if no rule applies. A rule for the VM's NIC takes precedence over one for a
// subnet, and an earlier rule over a later one. A NIC without a rule keeps its
// guest's address, or uses DHCP if the address is not known with its subnet. A NIC that
// uses DHCP keeps doing so, unless a rule names it. IPv6 addresses are given as rules for
// their subnets say, also to a NIC that uses DHCP. used are the indexes of the rules that
// apply.
//
// With a guest login the addresses are configured inside the guest, and a NIC's further
// IPv4 addresses are moved, or kept, as well.
func Identify(v inventory.VM, rules []inventory.ReIP, login string) (id *inventory.Identity, used []int) {
	host, domain, _ := strings.Cut(v.Guest.HostName, ".")
	if host == "" {
		host = cleanName(v.Name)
	}
	out := inventory.Identity{HostName: host, Domain: domain, Windows: v.Windows(), Login: login}
	for i, n := range v.Hardware.NICs {
		had := guestAddress(v.Guest, n)
		nic, rule := had, -1
		if leased(v.Guest, n) || had.Mask == "255.255.255.255" {
			// A lease of the source's network is nobody's at the target; and an address
			// whose subnet old VMware Tools do not report cannot be given again.
			nic = inventory.NICIdentity{}
		}
		for r, x := range rules {
			if x.VM == v.Name && x.NIC == i {
				if p, err := netip.ParsePrefix(x.IP); err == nil && p.Addr().Is4() {
					nic, rule = inventory.NICIdentity{IP: p.Addr().String(), Mask: mask(p.Bits()), DNS: had.DNS}, r
					if gw, err := netip.ParseAddr(had.Gateway); err == nil && p.Contains(gw) {
						nic.Gateway = had.Gateway // one in another subnet could not be reached
					}
					break
				}
			}
		}
		for r, x := range rules {
			if rule >= 0 || leased(v.Guest, n) {
				break
			}
			if to, ok := moved(x, had.IP); ok {
				subnet, _ := netip.ParsePrefix(x.To)
				nic, rule = inventory.NICIdentity{IP: to, Mask: mask(subnet.Bits()), DNS: had.DNS}, r
				if gw, ok := moved(x, had.Gateway); ok {
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
		if login != "" && nic.IP != "" {
			used = append(used, moveMore(&nic, moreAddresses(v.Guest, n), rules)...)
		}
		used = append(used, moveV6(&nic, addressesV6(v.Guest, n), rules)...)
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

// Remember is what the guest reports now, with a NIC's earlier address where the
// guest reports none any more, or one that no rule moves although the earlier one
// was moved: a guest that lost its network must still get its address at the
// target. kept says in words which addresses were kept for the second reason.
func Remember(was inventory.Guest, v inventory.VM, rules []inventory.ReIP) (g inventory.Guest, kept []string) {
	g = v.Guest
	g.NICs = slices.Clone(g.NICs)
	moves := func(a inventory.NICIdentity) bool {
		return slices.ContainsFunc(rules, func(x inventory.ReIP) bool { _, ok := moved(x, a.IP); return ok })
	}
	for i, n := range v.Hardware.NICs {
		had, has := guestAddress(was, n), guestAddress(g, n)
		byName := slices.ContainsFunc(rules, func(x inventory.ReIP) bool { return x.VM == v.Name && x.NIC == i })
		if had.IP == "" || has.IP != "" && (byName || moves(has) || !moves(had)) {
			continue
		}
		if has.IP != "" {
			kept = append(kept, fmt.Sprintf("its address %s is in no subnet of the job's reIP rules: its earlier address %s is still used", has.IP, had.IP))
		}
		g.NICs = slices.DeleteFunc(g.NICs, func(x inventory.GuestNIC) bool { return x.Is(n) })
		g.NICs = append(g.NICs, was.NICs[slices.IndexFunc(was.NICs, func(x inventory.GuestNIC) bool {
			return x.Is(n) && guestAddress(inventory.Guest{NICs: []inventory.GuestNIC{x}}, n).IP != ""
		})])
	}
	return g, kept
}

// guestAddress is a NIC's first IPv4 address as the guest reports it.
func guestAddress(g inventory.Guest, n inventory.NIC) inventory.NICIdentity {
	for _, x := range g.NICs {
		if !x.Is(n) {
			continue
		}
		for _, s := range x.IPs {
			if p, err := netip.ParsePrefix(s); err == nil && p.Addr().Is4() {
				return inventory.NICIdentity{IP: p.Addr().String(), Mask: mask(p.Bits()), Gateway: x.Gateway, DNS: x.DNS}
			}
		}
	}
	return inventory.NICIdentity{}
}

// leased reports whether a NIC uses DHCP.
func leased(g inventory.Guest, n inventory.NIC) bool {
	return slices.ContainsFunc(g.NICs, func(x inventory.GuestNIC) bool { return x.Is(n) && x.DHCP })
}

func mask(bits int) string {
	m := uint32(0)
	if bits > 0 {
		m = ^uint32(0) << (32 - bits)
	}
	return fmt.Sprintf("%d.%d.%d.%d", m>>24, m>>16&0xFF, m>>8&0xFF, m&0xFF)
}
