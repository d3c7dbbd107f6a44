package capture

import (
	"context"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
)

// lockRoom returns with order.mu held and room for one piece, in a window whose other
// half is left to live writes. An error, without mu, when the stream takes
// nothing for too long, or for good.
func (p *passes) lockRoom(ctx context.Context) error {
	o := p.order
	since, acked := o.deps.Clock.Now(), uint64(0)
	for {
		o.mu.Lock()
		if o.why.fenced || o.why.stopped {
			defer o.mu.Unlock()
			return cdp.Errorf(cdp.Fenced, "send pass", string(o.job.Group), "the group is %s", o.state)
		}
		if accepts(o.state) && !o.crowded() && o.fits(frame.MaxWrite) {
			return nil
		}
		if o.out.acked != acked {
			since, acked = o.deps.Clock.Now(), o.out.acked
		}
		o.mu.Unlock()
		if err := p.stalled(ctx, since); err != nil {
			return err
		}
		p.rest(ctx, time.Second)
	}
}

// stalled is an error when nothing moved for too long: a snapshot that is kept
// grows.
func (p *passes) stalled(ctx context.Context, since time.Time) error {
	o := p.order
	if err := ctx.Err(); err != nil {
		return &cdp.Error{Op: "send pass", Kind: cdp.Transient, Subject: string(o.job.Group), Cause: err}
	}
	if d := o.deps.Clock.Now().Sub(since); d > o.cfg.PassStall {
		return cdp.Errorf(cdp.Transient, "send pass", string(o.job.Group), "the stream has taken nothing for %v", d.Round(time.Second)).
			WithHint("the snapshot is removed meanwhile; the rest is sent later")
	}
	return nil
}

// complete ends the frames in which history was not. A reader takes any write
// inside a consistent frame after another for a state of the disks, so what
// was copied must not share a frame with a consistent end. Call with order.mu
// held.
func (p *passes) complete(x *pass, reason string) {
	o := p.order
	if o.out.hasOpenWrites() {
		o.out.win.End(0, o.stamp())
		o.wake.Ring()
	}
	x.sending = false
	o.update(reason)
}

// endPass ends a tap's pass: in the same instant writes to what is still dirty
// are no longer noted. If everything is sent it makes a recovery point.
func (p *passes) endPass(ctx context.Context, x *pass) error {
	o := p.order
	if err := p.lockRoom(ctx); err != nil {
		return err
	}
	o.pass = nil
	done := o.book.Count() == 0
	p.complete(x, "everything dirty was sent")
	if o.flags() != 0 && !o.taps.off && o.fits(0) {
		o.cutPoint(purpose{}, o.stamp())
	}
	o.mu.Unlock()
	return p.compared(done)
}

// endCycle makes a cycle's recovery points and waits until the stream has them.
// done is false if something has become dirty: frames were lost.
func (p *passes) endCycle(ctx context.Context, x *pass, req *request) (point cdp.Point, done bool, err error) {
	o := p.order
	if err := p.lockRoom(ctx); err != nil {
		return point, false, err
	}
	if o.book.Count() > 0 {
		o.mu.Unlock()
		return point, false, nil
	}
	p.complete(x, "a cycle is complete")
	if o.flags() == 0 || !o.fits(0) {
		defer o.mu.Unlock()
		return point, false, cdp.Errorf(cdp.Transient, "end cycle", string(o.job.Group), "the group is %s", o.state)
	}
	point = p.cutPoints(req)
	ord, losses := o.out.win.Last(), o.losses
	since, acked := o.deps.Clock.Now(), o.out.acked
	for o.out.acked < ord {
		o.mu.Unlock()
		p.rest(ctx, time.Second)
		err := p.stalled(ctx, since)
		o.mu.Lock()
		if o.out.acked != acked {
			since, acked = o.deps.Clock.Now(), o.out.acked
		}
		if o.losses != losses {
			break
		}
		if err != nil || o.why.fenced {
			break // it is in the window, and the stream gets it when it can
		}
	}
	lost := o.losses != losses
	point.Frame = o.out.number(ord)
	if lost {
		x.sending = o.book.Count() > 0
		o.update("frames of the cycle were lost")
	} else {
		p.cycles.owed, o.pass = false, nil
	}
	o.mu.Unlock()
	if lost {
		return point, false, nil
	}
	return point, true, p.compared(true)
}

// cutPoints makes a point for each command that asked for the cycle, and one if
// none did. They are of one moment. A command for which there is no room waits for
// the next cycle. Call with order.mu held and room for one frame.
func (p *passes) cutPoints(req *request) (last cdp.Point) {
	o := p.order
	last = o.cutPoint(req.first(), o.stamp())
	for i := 1; i < len(req.asked); i++ {
		if !o.fits(0) {
			p.cycles.asked = append(req.asked[i:], p.cycles.asked...)
			req.asked = req.asked[:i:i]
			break
		}
		last = o.cutPoint(purpose{true, req.asked[i]}, o.stamp())
	}
	return last
}

// compared notes that nothing is left to be compared, if the pass is done.
func (p *passes) compared(done bool) error {
	o := p.order
	if !done || !p.chain.Verify {
		return nil
	}
	p.chain.Verify = false
	return p.chain.save(chainPath(o.cfg, o.job.Group))
}
