package nbd

import "sync"

// groupCommit shares the flushes of one export: callers of sync that come while a
// flush runs share the next one.
//
// Invariant: at most one flush runs; a round that has waiters, when no flush
// runs, has a leader.
type groupCommit struct {
	flush func() error

	mu      sync.Mutex
	running bool
	next    *round // gathers callers; nil if there are none
}

// round is a flush to come, and what its callers wait for.
type round struct {
	lead chan struct{} // holds one token: whoever takes it must run the flush
	done chan struct{} // closed when err is set
	err  error
}

// sync returns after a flush that started after the call, with its error.
func (g *groupCommit) sync() error {
	g.mu.Lock()
	if !g.running {
		g.running = true
		g.mu.Unlock()
		err := g.flush()
		g.pass()
		return err
	}
	if g.next == nil {
		g.next = &round{lead: make(chan struct{}, 1), done: make(chan struct{})}
	}
	r := g.next
	g.mu.Unlock()

	select {
	case <-r.done:
		return r.err
	case <-r.lead:
	}
	// The round stops gathering here: a caller from now on may have written
	// after the flush took its snapshot.
	g.mu.Lock()
	g.next = nil
	g.mu.Unlock()
	r.err = g.flush()
	close(r.done)
	g.pass()
	return r.err
}

// pass gives the waiting round, if there is one, the right to flush.
func (g *groupCommit) pass() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.next == nil {
		g.running = false
		return
	}
	g.next.lead <- struct{}{}
}
