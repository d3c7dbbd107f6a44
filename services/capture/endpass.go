package capture

import (
	"context"
	"time"

	"tidemark.dev/pkg/cdp"
)

// lockRoom returns with mu held and room for one piece, in a window whose other
// half is left to live writes. An error, without mu, when the stream takes
// nothing for too long, or for good.
func (g *Group) lockRoom(ctx context.Context) error {
	since, acked := g.deps.Clock.Now(), uint64(0)
	for {
		g.mu.Lock()
		if g.why.fenced || g.why.stopped {
			defer g.mu.Unlock()
			return cdp.Errorf(cdp.Fenced, "send pass", string(g.job.Group), "the group is %s", g.state)
		}
		if g.state.accepts() && g.pending() < g.cfg.Slots/2 && g.fits() {
			return nil
		}
		if g.acked != acked {
			since, acked = g.deps.Clock.Now(), g.acked
		}
		g.mu.Unlock()
		if err := g.patience(ctx, since); err != nil {
			return err
		}
		g.rest(ctx, time.Second)
	}
}

// patience is over when nothing moved for too long: a snapshot that is kept
// grows.
func (g *Group) patience(ctx context.Context, since time.Time) error {
	if err := ctx.Err(); err != nil {
		return &cdp.Error{Op: "send pass", Kind: cdp.Transient, Subject: string(g.job.Group), Cause: err}
	}
	if d := g.deps.Clock.Now().Sub(since); d > g.cfg.PassStall {
		return cdp.Errorf(cdp.Transient, "send pass", string(g.job.Group), "the target has taken nothing for %v", d.Round(time.Second)).
			WithHint("the snapshot is removed meanwhile; the rest is sent later")
	}
	return nil
}

// complete ends the frames in which history was not. A reader takes any write
// inside a consistent frame behind another for a state of the disks, so what
// was copied must not share a frame with a consistent end. Call with mu held.
func (g *Group) complete(p *pass, reason string) {
	if open, n, _ := g.win.Open(); open && n > 0 {
		g.win.End(0, g.now())
		nudge(g.wake)
	}
	p.sending = false
	g.settle(reason)
}

// endPass ends a tap's pass: in the same instant writes to what is still dirty
// are no longer noted. If all is sent, that is made a point.
func (g *Group) endPass(ctx context.Context, p *pass) error {
	if err := g.lockRoom(ctx); err != nil {
		return err
	}
	g.frozen.pass = nil
	done := g.book.Count() == 0
	g.complete(p, "everything dirty was sent")
	if g.flags() != 0 && !g.frozen.off && g.fits() {
		g.point(false, g.now())
	}
	g.mu.Unlock()
	return g.compared(done)
}

// endCycle makes a cycle's recovery point and waits until the stream has it.
// done is false if something has become dirty: frames were lost.
func (g *Group) endCycle(ctx context.Context, p *pass, requested bool) (point cdp.Point, done bool, err error) {
	if err := g.lockRoom(ctx); err != nil {
		return point, false, err
	}
	if g.book.Count() > 0 {
		g.mu.Unlock()
		return point, false, nil
	}
	g.complete(p, "a cycle is complete")
	if g.flags() == 0 || !g.fits() {
		defer g.mu.Unlock()
		return point, false, cdp.Errorf(cdp.Transient, "end cycle", string(g.job.Group), "the group is %s", g.state)
	}
	point = g.point(requested, g.now())
	ord, losses := g.win.Last(), g.frozen.losses
	since, acked := g.deps.Clock.Now(), g.acked
	for g.acked < ord {
		g.mu.Unlock()
		g.rest(ctx, time.Second)
		err := g.patience(ctx, since)
		g.mu.Lock()
		if g.acked != acked {
			since, acked = g.deps.Clock.Now(), g.acked
		}
		if g.frozen.losses != losses {
			break
		}
		if err != nil || g.why.fenced {
			break // it is in the window, and the stream gets it when it can
		}
	}
	lost := g.frozen.losses != losses
	point.Frame = g.number(ord)
	if lost {
		p.sending = g.book.Count() > 0
		g.settle("frames of the cycle were lost")
	} else {
		g.frozen.owed, g.frozen.pass = false, nil
	}
	g.mu.Unlock()
	if lost {
		return point, false, nil
	}
	return point, true, g.compared(true)
}

// compared: nothing is left to be compared.
func (g *Group) compared(done bool) error {
	c := &g.frozen.chain
	if !done || !c.Verify {
		return nil
	}
	c.Verify = false
	return c.save(chainPath(g.cfg, g.job.Group))
}
