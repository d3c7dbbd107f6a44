package nbd

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"time"
)

// Server serves exports to NBD clients. Its methods may be called concurrently.
type Server struct {
	cfg Config

	mu      sync.Mutex
	exports map[string]*servedExport
	waiting []*conn // those that negotiate, oldest first; at most cfg.MaxHandshakes
	entered uint64  // counts connections
}

// New returns a server without exports.
func New(cfg Config) *Server {
	return &Server{cfg: cfg.withDefaults(), exports: map[string]*servedExport{}}
}

// AddExport offers e from now on. It fails with ErrExportExists, or if e is
// malformed.
func (s *Server) AddExport(e Export) error {
	x, err := newServedExport(e)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.exports[e.Name] != nil {
		return failed("add export", e.Name, ErrExportExists).WithHint("remove it first")
	}
	s.exports[e.Name] = x
	return nil
}

// RemoveExport stops offering an export, lets the requests in progress finish
// (for at most Config.DrainTimeout, then it cuts the connections) and returns
// when the backend is no longer in use. It fails with ErrUnknownExport.
func (s *Server) RemoveExport(name string) error {
	s.mu.Lock()
	x := s.exports[name]
	if x == nil {
		s.mu.Unlock()
		return failed("remove export", name, ErrUnknownExport)
	}
	delete(s.exports, name)
	x.removed = true
	conns := slices.Clone(x.conns)
	s.mu.Unlock()
	s.end(conns, &x.wg)
	return nil
}

// end drains connections and returns when wg is done: they are closed then.
func (s *Server) end(conns []*conn, wg *sync.WaitGroup) {
	for _, c := range conns {
		c.drain()
	}
	cut := time.AfterFunc(s.cfg.DrainTimeout, func() {
		for _, c := range conns {
			c.kill()
		}
	})
	defer cut.Stop()
	wg.Wait()
}

// Serve accepts connections from l until ctx ends, then closes l, ends its
// connections like RemoveExport, and returns nil when they are closed. It returns
// an error, after the same clean-up, when l fails for good. It may run for
// several listeners at once.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()

	var wg sync.WaitGroup
	var mu sync.Mutex
	conns := map[*conn]struct{}{}
	err := s.accept(ctx, l, func(nc net.Conn) {
		who := whoIs(nc)
		c := &conn{srv: s, base: nc, nc: nc, who: who, from: clientOf(nc, who), peer: Peer{Addr: nc.RemoteAddr().String()}}
		s.enter(c)
		mu.Lock()
		conns[c] = struct{}{}
		mu.Unlock()
		wg.Go(func() {
			c.serve(ctx)
			s.leave(c)
			mu.Lock()
			delete(conns, c)
			mu.Unlock()
		})
	})
	l.Close()
	var left []*conn
	mu.Lock()
	for c := range conns {
		left = append(left, c)
	}
	mu.Unlock()
	s.end(left, &wg)
	return err
}

// accept hands connections to start until ctx ends (nil) or l fails.
func (s *Server) accept(ctx context.Context, l net.Listener, start func(net.Conn)) error {
	var pause time.Duration
	for {
		nc, err := l.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				nc.Close()
			}
			return nil
		case errors.Is(err, net.ErrClosed):
			return failed("accept NBD clients", l.Addr().String(), err)
		case err != nil:
			// Out of descriptors, or a peer that gave up: both pass.
			s.event(Event{Kind: EventRefused, Err: err})
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			select {
			case <-ctx.Done():
			case <-time.After(pause):
			}
			continue
		}
		pause = 0
		start(nc)
	}
}

// lookup returns the export of that name, or nil.
func (s *Server) lookup(name string) *servedExport {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.exports[name]
}

// list returns all exports in the order of their names.
func (s *Server) list() []*servedExport {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*servedExport, 0, len(s.exports))
	for _, x := range s.exports {
		all = append(all, x)
	}
	slices.SortFunc(all, func(a, b *servedExport) int { return strings.Compare(a.Name, b.Name) })
	return all
}

func (s *Server) event(e Event) {
	if s.cfg.Events != nil {
		s.cfg.Events(e)
	}
}
