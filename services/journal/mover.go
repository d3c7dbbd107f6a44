package journal

import (
	"context"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
)

// runPolicy looks again and again at what base and horizon should be, and moves
// them, one step of decide at a time.
func (g *group) runPolicy(ctx context.Context) {
	looked := time.Time{}
	var bytes int64
	cutTold := time.Time{}
	for pause(ctx, g.cfg.Beat) {
		if st := g.vault.State(); st.Halted || st.Sealed {
			continue
		}
		now := g.deps.Clock.Now()
		o := outlook{Now: now, Bounds: g.vault.Bounds(), Bytes: bytes}
		spec := g.specNow()
		o.Mode, o.History, o.Limit = spec.Mode, spec.History, spec.Limit
		// Horizon is no hurry, and its facts cost a little to collect.
		if now.Sub(looked) >= 10*g.cfg.Beat {
			looked = now
			o.Points = g.points()
			var err error
			if o.Bytes, err = g.vault.Usage(); err != nil {
				g.troubled(ctx, err)
				continue
			}
			bytes, o.Known = o.Bytes, true
		}
		in := decide(o)
		mctx, ok := g.mayMove(ctx)
		if !ok {
			continue
		}
		if err := g.carryOut(mctx, in); err != nil {
			if mctx.Err() == nil && !cdp.Is(err, cdp.Conflict) { // an open view holds horizon: later
				g.troubled(ctx, err)
			}
			continue
		}
		if in.Cut && now.Sub(cutTold) > time.Minute {
			cutTold = now
			g.deps.Facts.Alarm(ctx, g.id, "history cut", "the journal's size limit is reached: points are given up earlier than the history limit says")
		}
	}
}

// mayMove gives policy the context for one move, unless it is held.
func (g *group) mayMove(ctx context.Context) (context.Context, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.held > 0 {
		return nil, false
	}
	if g.policy != nil {
		g.policy() // the move before has ended; so does its context
	}
	ctx, g.policy = context.WithCancel(ctx)
	return ctx, true
}

// hold ends policy's move at its next step, and keeps it from another until
// release: a failover must not wait for housekeeping.
func (g *group) hold() (release func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held++
	if g.policy != nil {
		g.policy()
	}
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.held--
	}
}

func (g *group) troubled(ctx context.Context, err error) {
	if ctx.Err() == nil {
		g.deps.Facts.Alarm(ctx, g.id, "journal", err.Error())
	}
}

func (g *group) carryOut(ctx context.Context, in intent) error {
	if in.Raise > 0 {
		if in.Merge {
			if err := g.vault.Merge(ctx, in.Raise); err != nil {
				return err
			}
		} else if err := g.vault.Raise(ctx, in.Raise); err != nil {
			return err
		}
	}
	if in.Horizon > 0 {
		if err := g.vault.Retain(ctx, in.Horizon); err != nil {
			return err
		}
		if in.Reason == seeding {
			return nil
		}
		g.deps.Facts.HorizonMoved(ctx, g.id, g.vault.Bounds(), in.Reason)
	}
	return nil
}

// moving is a move of base that a failover asked for.
type moving struct {
	to     cdp.Seq
	from   cdp.Seq
	cancel context.CancelFunc
	done   chan struct{}
	err    error
}

func (m *moving) ended() bool {
	select {
	case <-m.done:
		return true
	default:
		return false
	}
}

// moveBase starts a move, or tells how far it is. An error is told once; asking
// again starts anew.
func (g *group) moveBase(to cdp.Seq) (api.MoveReply, error) {
	if !g.vault.State().Halted {
		return api.MoveReply{}, cdp.Errorf(cdp.Conflict, "move base", string(g.id), "the journal still takes writes: halt it first")
	}
	g.mu.Lock()
	m := g.moving
	g.mu.Unlock()
	if m != nil {
		if !m.ended() {
			if m.to != to {
				return api.MoveReply{}, cdp.Errorf(cdp.Conflict, "move base", string(g.id), "it is on its way to %d", m.to)
			}
			return g.moveReply(m.from, to), nil
		}
		g.mu.Lock()
		g.moving = nil
		g.mu.Unlock()
		if m.err != nil {
			return api.MoveReply{}, m.err
		}
	}
	b := g.vault.Bounds()
	if b.Base == to && g.vault.State().Moving == to {
		return api.MoveReply{Done: true, Bounds: b, Moved: 1, Total: 1}, nil
	}
	if !b.Has(to) {
		return api.MoveReply{}, cdp.Errorf(cdp.NotFound, "move base", string(g.id), "write %d is outside the journal (%s)", to, b)
	}
	ctx, cancel := context.WithCancel(context.Background())
	m = &moving{to: to, from: b.Base, cancel: cancel, done: make(chan struct{})}
	g.mu.Lock()
	g.moving = m
	g.mu.Unlock()
	go func() {
		defer close(m.done)
		defer cancel()
		if m.err = g.vault.Raise(ctx, to); m.err == nil {
			m.err = g.vault.Lower(ctx, to)
		}
	}()
	return g.moveReply(b.Base, to), nil
}

func (g *group) moveReply(from, to cdp.Seq) api.MoveReply {
	b := g.vault.Bounds()
	total := int64(to) - int64(from)
	moved := int64(b.Base) - int64(from)
	if total < 0 {
		total, moved = -total, -moved
	}
	return api.MoveReply{Bounds: b, Moved: max(0, moved), Total: max(1, total)}
}

func (g *group) stopMove() {
	g.mu.Lock()
	m := g.moving
	g.mu.Unlock()
	if m != nil {
		m.cancel()
		<-m.done
	}
}
