package capture

import (
	"context"
	"fmt"
	"slices"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/event"
)

// cycles is when a cbt group's next cycle is due, and who waits for it.
// order.mu guards it.
type cycles struct {
	asked   []cdp.RequestID // the commands that asked for a cycle
	owed    bool            // a cycle was begun and is not complete
	begun   time.Time       // when the first try of what is owed was
	late    bool            // the alarm that it is not complete in time was raised
	next    time.Time
	waiters []chan<- cdp.Point
}

// request is what a cycle answers when it is complete.
type request struct {
	waiters []chan<- cdp.Point
	asked   []cdp.RequestID // each gets a point of its own
	seed    bool            // it sends the disks for the first time
}

// wait is how long until the next cycle.
func (c *cycles) wait(now time.Time) time.Duration {
	if c.owed || len(c.asked) > 0 || len(c.waiters) > 0 {
		return 0
	}
	return max(0, c.next.Sub(now))
}

// begin takes what was asked for, for the cycle that begins now.
func (c *cycles) begin(now time.Time, every time.Duration) request {
	if !c.owed {
		c.begun, c.late = now, false
	}
	r := request{waiters: c.waiters, asked: c.asked}
	c.waiters, c.asked, c.owed, c.next = nil, nil, true, now.Add(every)
	return r
}

// first is what the cycle's first point is for.
func (r *request) first() purpose {
	if len(r.asked) > 0 {
		return purpose{true, r.asked[0]}
	}
	return purpose{requested: len(r.waiters) > 0}
}

// giveBack makes whoever asked wait for the next cycle: this one failed.
func (p *passes) giveBack(r request) {
	p.order.mu.Lock()
	defer p.order.mu.Unlock()
	p.cycles.asked = append(r.asked, p.cycles.asked...)
	p.cycles.waiters = append(r.waiters, p.cycles.waiters...)
}

// watchCycle raises an alarm, while the cycle runs, if it is not complete when
// the next one is due: once, however often it is tried. Call end to stop it.
func (p *passes) watchCycle() (end func()) {
	o, c := p.order, &p.cycles
	o.mu.Lock()
	left := c.begun.Add(o.job.Every).Sub(o.deps.Clock.Now())
	o.mu.Unlock()
	over, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case <-over:
			return
		case <-clock.After(o.deps.Clock, left):
		}
		o.mu.Lock()
		late := c.owed && !c.late
		c.late = c.late || late
		begun := c.begun
		o.mu.Unlock()
		if late {
			o.notes.add(alarm{AlarmOverrun, fmt.Sprintf("the cycle of %s is not complete, and one is due every %v", begun.UTC().Format(time.RFC3339), o.job.Every)})
		}
	}()
	return func() {
		close(over)
		<-ended
	}
}

// Cycle asks a cbt group for a cycle that begins from now on, whose recovery point
// has the request in its frame. The cycle goes on by itself.
func (g *Group) Cycle(r cdp.RequestID) error {
	g.order.mu.Lock()
	defer g.order.mu.Unlock()
	if err := g.order.hasCycles("start a cycle"); err != nil {
		return err
	}
	if !slices.Contains(g.passes.cycles.asked, r) { // the command may come again
		g.passes.cycles.asked = append(g.passes.cycles.asked, r)
	}
	g.order.room.Ring()
	return nil
}

// CyclePoint asks a cbt group for a cycle that begins from now on, and waits for its
// recovery point: the stream has it then. The cycle goes on if ctx ends.
func (g *Group) CyclePoint(ctx context.Context) (cdp.Point, error) {
	const op = "make recovery point"
	name := string(g.job.Group)
	made := make(chan cdp.Point, 1)
	g.order.mu.Lock()
	err := g.order.hasCycles(op)
	if err == nil {
		g.passes.cycles.waiters = append(g.passes.cycles.waiters, made)
		g.order.room.Ring()
	}
	g.order.mu.Unlock()
	if err != nil {
		return cdp.Point{}, err
	}
	select {
	case p := <-made:
		return p, nil
	case <-g.done:
		return cdp.Point{}, cdp.Errorf(cdp.Transient, op, name, "the group was stopped")
	case <-ctx.Done():
		if st := g.Status(); st.Trouble != nil {
			return cdp.Point{}, cdp.Wrap(&cdp.Error{Op: "wait for its cycle", Kind: cdp.Transient, Cause: st.Trouble}, op, name)
		}
		return cdp.Point{}, cdp.Errorf(cdp.Transient, op, name, "its cycle is not complete yet")
	}
}

func (o *order) hasCycles(op string) error {
	if o.job.Mode != cdp.CBT || o.state == event.CaptureStopped || o.state == event.Fenced {
		return cdp.Errorf(cdp.Conflict, op, string(o.job.Group), "a %s group that is %s has no cycles", o.job.Mode, o.state)
	}
	return nil
}
