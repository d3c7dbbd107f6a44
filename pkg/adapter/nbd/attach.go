package nbd

import "fmt"

// attach gives c the export, unless a limit or the hook refuses.
func (s *Server) attach(c *conn, x *servedExport) error {
	s.mu.Lock()
	if x.removed {
		s.mu.Unlock()
		return ErrUnknownExport
	}
	if c.displaced {
		s.mu.Unlock()
		return fmt.Errorf("%w: others needed its place", ErrRefused)
	}
	out, err := s.room(c.from, x)
	if err != nil {
		s.mu.Unlock()
		return err
	}
	if out != nil {
		s.displace(out)
	}
	s.entered++
	c.since = s.entered
	s.waiting = without(s.waiting, c)
	x.conns = append(x.conns, c)
	x.wg.Add(1)
	s.mu.Unlock()
	if out != nil {
		out.kill()
	}

	c.exp = x
	if x.OnConnect != nil {
		if err := x.OnConnect(c.peer); err != nil {
			s.detach(c)
			c.exp = nil
			return fmt.Errorf("%w: %w", ErrRefused, err)
		}
	}
	return nil
}

// detach ends c's use of its export.
func (s *Server) detach(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.exp.conns = without(c.exp.conns, c)
	c.exp.wg.Done()
}
