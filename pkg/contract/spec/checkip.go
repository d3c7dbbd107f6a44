package spec

import (
	"fmt"
	"net/netip"

	"tidemark.dev/pkg/contract/inventory"
)

// reIP checks the rules by which guests' addresses are changed.
func (c *checker) reIP(list []inventory.ReIP) {
	cards, addresses := map[string]int{}, map[netip.Addr]int{}
	var froms []netip.Prefix
	var fromAt []int
	for i, r := range list {
		at := "/spec/target/reIP/" + itoa(i)
		switch {
		case r.VM == "" && r.From == "":
			c.bad(at, "either", "either vm and ip, or from and to, are required")
			continue
		case r.VM != "" && (r.From != "" || r.To != ""):
			c.bad(at, "either", "use either vm and ip, or from and to: a rule is for one network card or for a network")
			continue
		case r.VM != "":
			c.text(at+"/vm", r.VM)
			card := fmt.Sprintf("card %d of %s", r.NIC, r.VM)
			if first, twice := cards[card]; twice {
				c.bad(at+"/vm", "unique", "%s already gets its address from reIP %d", card, first)
			} else {
				cards[card] = i
			}
			c.cardIP(at, r, i, addresses)
		default:
			if r.IP != "" {
				c.bad(at+"/ip", "either", "is for rules with vm only")
			}
			if r.NIC != 0 {
				c.bad(at+"/nic", "either", "is for rules with vm only")
			}
			from, ok := c.network(at+"/from", r.From)
			for k, f := range froms {
				if ok && f.Overlaps(from) {
					c.bad(at+"/from", "unique", "%s overlaps %s of reIP %d: two rules would apply to one address", from, f, fromAt[k])
				}
			}
			if ok {
				froms, fromAt = append(froms, from), append(fromAt, i)
			}
			if r.To == "" {
				c.bad(at+"/to", "required", "to is missing: say which network the addresses of %s move to", r.From)
				continue
			}
			to, good := c.network(at+"/to", r.To)
			switch {
			case !ok || !good:
			case from.Addr().Is4() != to.Addr().Is4():
				c.bad(at+"/to", "kind", "%s and %s are networks of IPv4 and of IPv6: an address keeps its kind", from, to)
				good = false
			case from.Bits() != to.Bits():
				c.bad(at+"/to", "length", "%s and %s have different prefix lengths: they must be equal, because the host part is kept", from, to)
			}
			if good {
				c.gateway(at+"/gateway", r.Gateway, to, netip.Addr{})
			} else {
				c.address(at+"/gateway", r.Gateway)
			}
		}
		for k, d := range r.DNS {
			if _, err := netip.ParseAddr(d); err != nil {
				c.bad(at+"/dns/"+itoa(k), "ip", "%q is not an IP address", d)
			}
		}
	}
}

// cardIP checks the address of one card.
func (c *checker) cardIP(at string, r inventory.ReIP, i int, addresses map[netip.Addr]int) {
	if r.IP == "" {
		c.bad(at+"/ip", "required", "ip is missing: write it as 10.9.0.5/24")
		return
	}
	p, err := netip.ParsePrefix(r.IP)
	switch {
	case err != nil:
		c.bad(at+"/ip", "cidr", "%q: write an address with its prefix length, as 10.9.0.5/24", r.IP)
	case !p.Addr().Is4():
		c.bad(at+"/ip", "ipv4", "%s: only IPv4 addresses can be given to a guest", r.IP)
	case p.Bits() == 0:
		c.bad(at+"/ip", "cidr", "%s: a prefix length of 0 is not a network", r.IP)
	case p.Bits() < 31 && (p.Addr() == p.Masked().Addr() || p.Addr() == last(p)):
		c.bad(at+"/ip", "host", "%s is the address of the network itself, or its broadcast address", p.Addr())
	default:
		if first, twice := addresses[p.Addr()]; twice {
			c.bad(at+"/ip", "unique", "%s is already assigned by reIP %d", p.Addr(), first)
		} else {
			addresses[p.Addr()] = i
		}
		c.gateway(at+"/gateway", r.Gateway, p.Masked(), p.Addr())
		return
	}
	c.address(at+"/gateway", r.Gateway)
}

// gateway checks that it is in the network and not the guest itself.
func (c *checker) gateway(at, raw string, in netip.Prefix, self netip.Addr) {
	g, ok := c.address(at, raw)
	switch {
	case !ok:
	case !in.Contains(g):
		c.bad(at, "network", "%s is not in the network %s, so it could not be reached", g, in)
	case g == self:
		c.bad(at, "unique", "%s is the VM's own address", g)
	}
}

// address reads one; an empty one is not ok, and no problem.
func (c *checker) address(at, raw string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(raw)
	if err != nil && raw != "" {
		c.bad(at, "ip", "%q is not an IP address", raw)
	}
	return a, err == nil
}

// network reads a network without a host part.
func (c *checker) network(at, raw string) (netip.Prefix, bool) {
	p, err := netip.ParsePrefix(raw)
	switch {
	case err != nil:
		c.bad(at, "cidr", "%q is not a network: write it as 10.1.0.0/24", raw)
	case p.Bits() == 0:
		c.bad(at, "cidr", "%s: a prefix length of 0 is not a network", raw)
	case p != p.Masked():
		c.bad(at, "cidr", "%s has a host part: the network is %s", raw, p.Masked())
	default:
		return p, true
	}
	return p, false
}

// last is the broadcast address of an IPv4 network.
func last(p netip.Prefix) netip.Addr {
	a := p.Masked().Addr().As4()
	for b := p.Bits(); b < 32; b++ {
		a[b/8] |= 1 << (7 - b%8)
	}
	return netip.AddrFrom4(a)
}
