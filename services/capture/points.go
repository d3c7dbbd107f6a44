package capture

import (
	"context"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/core/frame"
)

// purpose says what a recovery point is made for. The zero value is the cadence.
type purpose struct {
	requested bool          // an operator asked for it
	request   cdp.RequestID // the command that asked; 0: none
}

// Mark makes the end of the open frame, even an empty one, a recovery point.
// The point's frame number holds unless the stream loses the frame before the
// journal has it: what counts is the frame with the Marker flag that arrives.
// Conflict when the group is not consistent, Full when there is no room in the
// window.
func (g *Group) Mark(requested bool) (cdp.Point, error) { return g.mark(purpose{requested: requested}) }

// Answer makes a recovery point as Mark does, and leaves the request in its frame.
// The point holds every write that was answered before the call.
func (g *Group) Answer(r cdp.RequestID) (cdp.Point, error) { return g.mark(purpose{true, r}) }

func (g *Group) mark(why purpose) (cdp.Point, error) {
	o := &g.order
	o.mu.Lock()
	defer o.mu.Unlock()
	const op = "mark recovery point"
	name := string(g.job.Group)
	if g.job.Mode == cdp.CBT {
		return cdp.Point{}, cdp.Errorf(cdp.Conflict, op, name, "a cbt group makes a recovery point at the end of each cycle").
			WithHint("ask for a cycle instead")
	}
	if o.flags()&frame.Consistent == 0 {
		err := cdp.Errorf(cdp.Conflict, op, name, "the group is %s", o.state)
		if why := o.taps.absent(); why != nil {
			err.Cause = why
		}
		return cdp.Point{}, err.WithHint("a recovery point needs a group that is replicating")
	}
	if o.taps.off {
		return cdp.Point{}, cdp.Errorf(cdp.Conflict, op, name, "its machine is off, and its last point is being made")
	}
	if !o.fits(0) {
		return cdp.Point{}, cdp.Errorf(cdp.Full, op, name, "the window is full")
	}
	return o.cutPoint(why, o.stamp()), nil
}

// Owe has a recovery point made as soon as the group can make one, now perhaps: its
// last one is older than its RPO asks for, and the cadence that asks for the next may
// be long. Passes end with a point of their own.
func (g *Group) Owe() {
	o := &g.order
	if g.job.frozen() {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.owed = true
	o.payPoint()
}

// payPoint makes the point that is owed, if it can be made.
func (o *order) payPoint() {
	if o.owed && o.flags()&frame.Consistent != 0 && o.fits(0) {
		o.cutPoint(purpose{}, o.stamp())
	}
}

// cutPoint ends the open frame as a recovery point of that time.
func (o *order) cutPoint(why purpose, now int64) cdp.Point {
	o.owed = false
	flags := o.flags() | frame.Marker
	if why.requested {
		flags |= frame.Requested
	}
	o.out.win.Answer(why.request)
	o.out.win.End(flags, now)
	o.wake.Ring()
	return cdp.Point{Frame: o.out.number(o.out.win.Last()), Seq: o.out.seq, Time: time.Unix(0, now), Requested: why.requested, Request: why.request}
}

// cutParting makes a point of the writes so far, if they are of one moment,
// before a client goes: it is the last for a while, perhaps for ever if the
// client's host died. It has the time of the last write, for nothing is known
// of what came later.
func (o *order) cutParting() {
	if o.flags() != 0 && o.fits(0) {
		o.cutPoint(purpose{}, max(o.out.wrote, o.out.win.Ended()))
	}
}

// LastPoint makes the last point of a tap. A frozen one whose clients are gone
// may have missed writes, or its machine may only be off: then nothing more will
// be written, and a pass over its disks finds what was missed. off is asked before and
// after that pass, and returns an error unless the machine is off. No other
// point is made meanwhile.
func (g *Group) LastPoint(ctx context.Context, off func(context.Context) error) (cdp.Point, error) {
	const op = "make last recovery point"
	name := string(g.job.Group)
	o := &g.order
	p, refused := g.Mark(true)
	o.mu.Lock()
	absent := o.taps.absent() != nil
	o.mu.Unlock()
	if refused == nil || !absent {
		return p, refused
	}
	if err := off(ctx); err != nil {
		return p, cdp.Wrap(err, op, name)
	}
	g.setOff(true)
	defer g.setOff(false)
	for !g.consistent() {
		select {
		case <-ctx.Done():
			return p, cdp.Errorf(cdp.Transient, op, name, "the disks were not read in time: the group is %s", g.Status().State)
		case <-g.done:
			return p, cdp.Errorf(cdp.Transient, op, name, "the group was stopped")
		case <-clock.After(g.deps.Clock, 10*time.Millisecond):
		}
	}
	if err := off(ctx); err != nil {
		return p, cdp.Wrap(err, op, name)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.flags() == 0 || !o.fits(0) {
		return p, cdp.Errorf(cdp.Transient, op, name, "the group is %s", o.state)
	}
	return o.cutPoint(purpose{requested: true}, o.stamp()), nil
}

// setOff says that the machine is off, and so its disks are as good as live, or
// that this is no longer known.
func (g *Group) setOff(off bool) {
	g.order.mu.Lock()
	defer g.order.mu.Unlock()
	g.order.taps.off = off
	if off {
		g.order.blinded("its machine is off")
	} else {
		g.order.blinded("its machine may be on")
	}
}

func (g *Group) consistent() bool {
	g.order.mu.Lock()
	defer g.order.mu.Unlock()
	return g.order.flags() != 0
}

// Reseed makes everything dirty: whole disks are sent again.
func (g *Group) Reseed() error {
	o := &g.order
	o.mu.Lock()
	defer o.mu.Unlock()
	if g.job.Mode == cdp.Tap && !g.job.Frozen || o.state == event.CaptureStopped {
		return cdp.Errorf(cdp.Conflict, "reseed", string(g.job.Group), "a %s group that is %s cannot", g.job.Mode, o.state).
			WithHint("a tap is seeded by its client: let it copy again")
	}
	o.book.Seed()
	o.virgin, o.bare = false, false
	o.pass.leaveAll() // this one does not know what it would have to leave out
	o.update("a seed was asked for")
	return nil
}
