package nbd

import "fmt"

// attach gives c the export, unless a limit or the hook refuses.
func (s *Server) attach(c *conn, x *servedExport) error {
	s.mu.Lock()
	if x.removed {
		s.mu.Unlock()
		return ErrUnknownExport
	}
	if x.MaxConns > 0 && len(x.conns) >= x.MaxConns {
		s.mu.Unlock()
		return fmt.Errorf("%w: the export has its limit of %d connections", ErrRefused, x.MaxConns)
	}
	x.conns[c] = struct{}{}
	x.wg.Add(1)
	s.mu.Unlock()

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
	delete(c.exp.conns, c)
	c.exp.wg.Done()
}
