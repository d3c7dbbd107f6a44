package nbd

import "sync"

// group is the group commit of one export: whoever wants its writes durable
// calls sync, and those who come while a flush runs share the next one.
//
// Invariant: at most one flush runs; a round that has waiters and no flush
// ahead of it has a leader.
type group struct {
	flush func() error

	mu      sync.Mutex
	running bool
	next    *round // gathers callers; nil when nobody waits
}

// round is one flush to come and those who wait for it.
type round struct {
	lead chan struct{} // holds one token: whoever takes it must run the flush
	done chan struct{} // closed when err is set
	err  error
}

// sync returns after a flush that started after the call, with its error.
func (g *group) sync() error {
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

// pass hands the right to flush to the waiting round, if there is one.
func (g *group) pass() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.next == nil {
		g.running = false
		return
	}
	g.next.lead <- struct{}{}
}
