package capture

import (
	"context"
	"time"

	"tidemark.dev/pkg/cdp"
)

// tell queues a fact for the herald. It never waits: a listener that is slower
// than that loses facts, and can ask for Status.
func (g *Group) tell(fact any) {
	select {
	case g.facts <- fact:
	default:
	}
}

func (g *Group) herald(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case f := <-g.facts:
			g.announce(f)
		}
	}
}

// tellAll says what was still queued.
func (g *Group) tellAll() {
	for {
		select {
		case f := <-g.facts:
			g.announce(f)
		default:
			return
		}
	}
}

func (g *Group) announce(fact any) {
	switch f := fact.(type) {
	case Change:
		g.deps.Events.StateChanged(f)
	case Progress:
		g.deps.Events.Progress(f)
	case alarm:
		if a, ok := g.deps.Events.(Alarms); ok {
			a.Alarm(g.job.Group, f.kind, f.text)
		}
	case error:
		g.deps.Events.ListenerFailed(g.job.Group, f)
	}
}

// report tells the progress of a seed or resync.
func (g *Group) report() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.state.copies() || g.job.Mode == Tap && !g.job.Frozen {
		return
	}
	left := g.book.Bytes()
	g.total = max(g.total, left)
	g.tell(Progress{Group: g.job.Group, State: g.state, Done: g.total - left, Total: g.total, At: g.deps.Clock.Now()})
}

// trouble keeps what went wrong last, for Status.
func (g *Group) trouble(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.err = err
}

// Status is how a group stands.
type Status struct {
	State State
	Epoch cdp.Epoch
	// Seq is the last write in the window; Acked and Durable are the newest
	// frames that stream and journal are known to have.
	Seq            cdp.Seq
	Acked, Durable cdp.FrameNo
	Pending        int   // closed frames the stream lacks
	DirtyBytes     int64 // that resync or seed still have to send
	TotalBytes     int64 // of all disks
	// Of a seed or resync, also when it is over: how much of it is done, in bytes.
	// Verified of them the target had already. Since when a frozen group's pass
	// runs (zero: none does).
	Done, Total int64
	Since       time.Time
	Verified    int64
	// Trouble is the last failure of stream, journal or disk; it may be over.
	Trouble error
	// Failed is why a frozen group's last pass failed, until one goes well: as
	// long as it is not nil no point is made.
	Failed error
}

// Status tells how the group stands now.
func (g *Group) Status() Status {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.state == Stopped {
		return Status{State: Stopped}
	}
	m := g.book.Mark()
	s := Status{State: g.state, Epoch: m.Epoch, Seq: g.seq, Acked: m.No, Durable: g.durable,
		Pending: g.pending(), DirtyBytes: g.book.Bytes(), TotalBytes: g.book.Total(), Trouble: g.err, Failed: g.frozen.failed,
		Verified: g.frozen.verified}
	if g.state == NeedsResync {
		if why := g.absent(); why != nil {
			s.Trouble = why
		}
	}
	if g.state.copies() {
		s.Total = max(g.total, s.DirtyBytes)
		s.Done = s.Total - s.DirtyBytes
	} else if g.state == Replicating {
		s.Total, s.Done = g.copied, g.copied
	}
	if p := g.frozen.pass; p != nil {
		s.Since = p.began
	}
	return s
}
