package nbd

import (
	"fmt"
	"net"
	"net/netip"
)

// Whoever reaches the port may connect, and a connection that is idle may be a guest
// that has nothing to write. So nobody is cut for being idle; where room is short, it is
// shared by peers instead: a newcomer takes the place of whoever has the most, and a peer
// with one connection never loses it. A peer that fills a server locks out itself.

// enter counts c among those that negotiate. It never refuses: when there are too many,
// the oldest of the client that has the most of them is closed.
func (s *Server) enter(c *conn) {
	s.mu.Lock()
	var out *conn
	if len(s.waiting) >= s.cfg.MaxHandshakes {
		client, _ := greediest(s.waiting)
		for _, w := range s.waiting {
			if w.from == client {
				out = w
				break
			}
		}
		s.displace(out)
	}
	s.waiting = append(s.waiting, c)
	s.mu.Unlock()
	if out != nil {
		out.kill()
	}
}

// leave forgets a connection that ended without an export.
func (s *Server) leave(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting = without(s.waiting, c)
}

// displace takes c's place away. Call it with mu held, and kill c after.
func (s *Server) displace(c *conn) {
	c.displaced = true
	s.waiting = without(s.waiting, c)
	for _, x := range s.exports {
		x.conns = without(x.conns, c)
	}
}

// room says whether from may have one more connection to x, and whose it replaces, if
// any. Call it with mu held.
func (s *Server) room(from string, x *servedExport) (out *conn, err error) {
	var all []*conn
	for _, e := range s.exports {
		all = append(all, e.conns...)
	}
	if s.cfg.MaxPerPeer > 0 && count(all, from) >= s.cfg.MaxPerPeer {
		return nil, fmt.Errorf("%w: %s has the %d connections that one client may have here", ErrRefused, from, s.cfg.MaxPerPeer)
	}
	for _, l := range []struct {
		what  string
		conns []*conn
		most  int
	}{{"the export", x.conns, x.MaxConns}, {"the server", all, s.cfg.MaxConnections}} {
		if l.most <= 0 || len(l.conns) < l.most {
			continue
		}
		client, n := greediest(l.conns)
		if n <= count(l.conns, from)+1 {
			return nil, fmt.Errorf("%w: %s has its limit of %d connections", ErrRefused, l.what, l.most)
		}
		for _, c := range l.conns {
			if c.from == client && (out == nil || c.since > out.since) {
				out = c
			}
		}
		return out, nil
	}
	return nil, nil
}

// greediest is the client with the most of some connections, and how many it has.
func greediest(conns []*conn) (client string, most int) {
	n := map[string]int{}
	for _, c := range conns {
		n[c.from]++
	}
	for _, c := range conns { // in their order, so that a tie goes to the oldest
		if n[c.from] > most {
			client, most = c.from, n[c.from]
		}
	}
	return client, most
}

func count(conns []*conn, from string) (n int) {
	for _, c := range conns {
		if c.from == from {
			n++
		}
	}
	return n
}

// without is conns without c, in a slice of its own.
func without(conns []*conn, c *conn) []*conn {
	out := make([]*conn, 0, len(conns))
	for _, x := range conns {
		if x != c {
			out = append(out, x)
		}
	}
	return out
}

// clientOf is what the limits take for one client: a process of this machine, an IPv4
// address, or an IPv6 network of 64 bits, for one host may have all of its addresses.
func clientOf(nc net.Conn, who string) string {
	at, err := netip.ParseAddrPort(nc.RemoteAddr().String())
	if err != nil {
		return who
	}
	ip := at.Addr().Unmap().WithZone("")
	if ip.Is4() {
		return ip.String()
	}
	p, _ := ip.Prefix(64) // an IPv6 address has 128 bits
	return p.String()
}
