package bus_test

import (
	"context"
	"testing"
	"time"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/adapter/bus/bustest"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/engine/spool"
	"tidemark.dev/pkg/engine/spool/spooltest"
)

// Of the idle groups of a site one stands watch and the others rest. A frame reaches a
// resting one all the same, all of them notice that the link is down, and they go on when
// it is up again.
func TestIdleGroupsRestWhileOneStandsWatch(t *testing.T) {
	r := newRig(t, 64<<20)
	bus.RestAfter(r.dst, "prod", 100*time.Millisecond)
	var all []*idleGroup
	for _, id := range []cdp.GroupID{"vm1", "vm2", "vm3"} {
		r.group = id
		g := &idleGroup{t: t, sink: r.Sink(t), got: make(chan cdp.FrameNo, 100), states: make(chan spool.State, 100)}
		src := r.Source(t)
		background(t, func(ctx context.Context) error {
			return src.Pull(ctx, 1, func(s spool.Status) { g.states <- s.State }, func(m spool.Message) error { g.got <- m.No; return nil })
		})
		all = append(all, g)
	}
	each := func(f func(*idleGroup)) {
		for _, g := range all {
			f(g)
		}
	}
	each(func(g *idleGroup) { g.send() })
	each(func(g *idleGroup) { g.is(spool.Flowing) })
	bustest.Eventually(t, "all but one rest", func() bool { return bus.Resting(r.dst, "prod") == len(all)-1 })
	each(func(g *idleGroup) { g.send() })
	bustest.Eventually(t, "they rest after one frame", func() bool { return bus.Resting(r.dst, "prod") == len(all)-1 })
	r.Cut()
	each(func(g *idleGroup) { g.is(spool.LinkDown) })
	r.Heal()
	each(func(g *idleGroup) { g.is(spool.Flowing); g.send() })
}

// Pulls take turns to join their streams: a thousand that ask at once, after an outage,
// would be answered too late, and ask again for ever.
func TestPullsTakeTurnsToJoin(t *testing.T) {
	r := newRig(t, 64<<20)
	r.group = "vm1"
	g := &idleGroup{t: t, sink: r.Sink(t), got: make(chan cdp.FrameNo, 100), states: make(chan spool.State, 100)}
	src := r.Source(t)
	release := bus.TakeTurns(r.dst, "prod")
	background(t, func(ctx context.Context) error {
		return src.Pull(ctx, 1, func(s spool.Status) { g.states <- s.State }, func(m spool.Message) error { g.got <- m.No; return nil })
	})
	if err := g.sink.Publish(spooltest.Make(1, 1, 512)); err != nil {
		t.Fatal(err)
	}
	if x := <-g.sink.Results(); x.Err != nil {
		t.Fatal(x.Err)
	}
	select {
	case <-g.got:
		t.Fatal("it joined out of turn")
	case <-time.After(200 * time.Millisecond):
	}
	release()
	select {
	case <-g.got:
	case <-time.After(time.Minute):
		t.Fatal("it does not join in its turn")
	}
}

// The pulls of jobs that were applied and not started look for streams that do not exist:
// all of a site together at a bounded pace, and the others are not slowed by them.
func TestPullsLookForMissingStreamsAtASitesPace(t *testing.T) {
	r := newRig(t, 64<<20)
	if few, _ := bus.Seeks(r.dst, "prod", 1); few > 100*time.Millisecond {
		t.Errorf("a single one waits %v", few)
	}
	many, exists := bus.Seeks(r.dst, "prod", 1000)
	if rate := float64(1000) / many.Seconds(); rate > 200 {
		t.Errorf("a thousand look %.0f times a second", rate)
	}
	if exists != 0 {
		t.Errorf("one whose stream exists waits %v", exists)
	}
}

// idleGroup is a group whose frames are pulled.
type idleGroup struct {
	t      *testing.T
	sink   spool.Sink
	sent   cdp.FrameNo
	got    chan cdp.FrameNo
	states chan spool.State
}

// send sends one frame, and waits until it was pulled.
func (g *idleGroup) send() {
	g.t.Helper()
	g.sent++
	if err := g.sink.Publish(spooltest.Make(g.sent, 1, 512)); err != nil {
		g.t.Fatal(err)
	}
	if x := <-g.sink.Results(); x.Err != nil {
		g.t.Fatal(x.Err)
	}
	select {
	case no := <-g.got:
		if no != g.sent {
			g.t.Fatalf("frame %d came, want %d", no, g.sent)
		}
	case <-time.After(time.Minute):
		g.t.Fatalf("frame %d did not come", g.sent)
	}
}

// is waits until the pull is in a state.
func (g *idleGroup) is(want spool.State) {
	g.t.Helper()
	for deadline := time.After(time.Minute); ; {
		select {
		case s := <-g.states:
			if s == want {
				return
			}
		case <-deadline:
			g.t.Fatalf("the pull is never %s", want)
		}
	}
}
