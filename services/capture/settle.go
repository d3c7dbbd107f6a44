package capture

import (
	"context"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
)

// Settle makes the last point of a tap. A frozen one whose clients are gone may
// have missed writes, or its machine may only be off: then there is nothing more
// to be told, and what was missed is found by a pass over its disks. off is asked
// before that and after it, and gives an error unless the machine is off. There
// is no other point meanwhile.
func (g *Group) Settle(ctx context.Context, off func(context.Context) error) (cdp.Point, error) {
	const op = "make last recovery point"
	name := string(g.job.Group)
	p, refused := g.Mark(true)
	g.mu.Lock()
	absent := g.absent() != nil
	g.mu.Unlock()
	if refused == nil || !absent {
		return p, refused
	}
	if err := off(ctx); err != nil {
		return p, cdp.Wrap(err, op, name)
	}
	g.takeOff(true)
	defer g.takeOff(false)
	for !g.whole() {
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
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.flags() == 0 || !g.fits() {
		return p, cdp.Errorf(cdp.Transient, op, name, "the group is %s", g.state)
	}
	return g.point(true, g.now()), nil
}

// takeOff: the machine is off, and so its disks are as good as live, or it is
// not known any more.
func (g *Group) takeOff(off bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.frozen.off = off
	if off {
		g.blinded("its machine is off")
	} else {
		g.blinded("its machine may be on")
	}
}

func (g *Group) whole() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.flags() != 0
}
