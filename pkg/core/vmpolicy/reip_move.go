package vmpolicy

import (
	"net/netip"
	"slices"

	"tidemark.dev/pkg/contract/inventory"
)

// moved is the address in To with the same host part as ip, if ip is in From.
func moved(r inventory.ReIP, ip string) (string, bool) {
	if r.VM != "" {
		return "", false
	}
	from, err1 := netip.ParsePrefix(r.From)
	to, err2 := netip.ParsePrefix(r.To)
	a, err3 := netip.ParseAddr(ip)
	if err1 != nil || err2 != nil || err3 != nil || !from.Contains(a) || from.Bits() != to.Bits() || from.Addr().Is4() != to.Addr().Is4() {
		return "", false
	}
	out, net := a.AsSlice(), to.Masked().Addr().AsSlice()
	for i := range out {
		m := byte(0)
		if bits := from.Bits() - 8*i; bits >= 8 {
			m = 0xFF
		} else if bits > 0 {
			m = ^byte(0xFF >> bits)
		}
		out[i] = net[i]&m | out[i]&^m
	}
	there, _ := netip.AddrFromSlice(out)
	return there.String(), true
}

// moveMore gives a NIC its further IPv4 addresses: moved by a rule, or as they were. It
// returns the rules that apply. One whose prefix length is not known is not given without
// a rule.
func moveMore(nic *inventory.NICIdentity, had []netip.Prefix, rules []inventory.ReIP) (used []int) {
	for _, p := range had {
		to := p
		at := slices.IndexFunc(rules, func(x inventory.ReIP) bool { _, ok := moved(x, p.Addr().String()); return ok })
		if at >= 0 {
			ip, _ := moved(rules[at], p.Addr().String())
			subnet, _ := netip.ParsePrefix(rules[at].To)
			a, _ := netip.ParseAddr(ip)
			to = netip.PrefixFrom(a, subnet.Bits())
			used = append(used, at)
		}
		if to.Bits() < to.Addr().BitLen() && to.Addr().String() != nic.IP {
			nic.More = append(nic.More, to.String())
		}
	}
	return used
}

// moreAddresses are a NIC's IPv4 addresses after its first, as the guest reports them.
func moreAddresses(g inventory.Guest, n inventory.NIC) (out []netip.Prefix) {
	if leased(g, n) {
		return nil
	}
	first := guestAddress(g, n).IP
	for _, x := range g.NICs {
		if !x.Is(n) {
			continue
		}
		for _, s := range x.IPs {
			if p, err := netip.ParsePrefix(s); err == nil && p.Addr().Is4() && p.Addr().String() != first {
				out = append(out, p)
			}
		}
	}
	return out
}

// moveV6 gives a NIC the IPv6 addresses that rules move, with the length of the guest's
// prefix, or that of the rule if it is not known. It returns the rules that apply. An
// address without a rule is not given: it may be one that routers of the source announced.
func moveV6(nic *inventory.NICIdentity, had []netip.Prefix, rules []inventory.ReIP) (used []int) {
	for _, p := range had {
		for r, x := range rules {
			to, ok := moved(x, p.Addr().String())
			if !ok {
				continue
			}
			bits := p.Bits()
			if bits == p.Addr().BitLen() {
				subnet, _ := netip.ParsePrefix(x.To)
				bits = subnet.Bits()
			}
			addr, _ := netip.ParseAddr(to)
			nic.IPv6 = append(nic.IPv6, netip.PrefixFrom(addr, bits).String())
			if x.Gateway != "" {
				nic.GatewayV6 = x.Gateway
			}
			for _, d := range x.DNS {
				if !slices.Contains(nic.DNS, d) {
					nic.DNS = append(slices.Clip(nic.DNS), d)
				}
			}
			if !slices.Contains(used, r) {
				used = append(used, r)
			}
			break
		}
	}
	return used
}

// addressesV6 are a NIC's IPv6 addresses as the guest reports them, without link-local
// ones.
func addressesV6(g inventory.Guest, n inventory.NIC) (out []netip.Prefix) {
	for _, x := range g.NICs {
		if !x.Is(n) {
			continue
		}
		for _, s := range x.IPs {
			if p, err := netip.ParsePrefix(s); err == nil && p.Addr().Is6() && !p.Addr().Is4In6() && !p.Addr().IsLinkLocalUnicast() {
				out = append(out, p)
			}
		}
	}
	return out
}
