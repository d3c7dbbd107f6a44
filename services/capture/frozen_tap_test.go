package capture

import (
	"context"
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/seedtest"
)

func tapWorld(t *testing.T) *frozenWorld {
	f := newFrozenWorld(newWorld(t, seedtest.Seed(t)), cdp.Tap)
	f.put(0, 0, 512<<10)
	f.up()
	f.connect()
	f.settle()
	// The state changes before the pass has removed its snapshot and rests.
	f.eventually("no snapshot", func() bool { return f.left() == 0 })
	return f
}

// A client goes unnoticed, and a pass is made for another reason before that is
// known. What was missed until then is found all the same.
func TestAClientThatIsGoneUnnoticedLeavesNoHole(t *testing.T) {
	f := tapWorld(t)
	f.bus.with(func() { f.r.late = true })
	f.still(func() { f.reports = false })
	f.put(0, 256<<10, 4096) // nobody reports it
	taken := f.taken()
	f.g.order.mu.Lock()
	f.g.order.miss(1, 0, 512)
	f.g.order.update("a write found no room")
	f.g.order.mu.Unlock()
	f.eventually("a pass for that", func() bool { return f.taken() > taken && f.left() == 0 })
	for d := range f.job.Disks {
		f.g.clientGone(cdp.DiskID(d), false)
	}
	f.eventually("it asks for its client", f.state(event.NeedsResync))
	before := f.sentBytes()
	f.settle()
	if n := f.sentBytes() - before; n != 64<<10 {
		t.Fatalf("%d bytes were sent for one block that was missed", n)
	}
	f.end()
}

// A client says goodbye, and the machine writes on, as it does when its filter is
// detached, or when it is started again without. The writes until then make a
// point of that time. There is none of a later time before every write is reported
// again and what was missed is found.
func TestAfterAGoodbyeThereIsNoPoint(t *testing.T) {
	f := tapWorld(t)
	f.one(8)
	var last, newest int64
	f.bus.with(func() {
		see := f.bus.watch
		f.bus.watch = func(x frame.Frame) error {
			if x.Has(frame.Marker) {
				newest = x.Sealed
			}
			return see(x)
		}
	})
	f.still(func() {
		f.leave(0, true)
		last = time.Now().UnixNano()
	})
	if err := f.g.Live(0); !cdp.Is(err, cdp.Conflict) {
		t.Errorf("live without a client: %v", err)
	}
	f.eventually("a point of what came before", func() bool { made := false; f.bus.with(func() { made = newest > 0 }); return made })
	if s := f.g.Status(); s.State != event.NeedsResync || s.Trouble == nil || !strings.Contains(s.Trouble.Error(), "disk0") {
		t.Errorf("%+v", s)
	}
	for range 20 {
		f.one(8)
		if p, err := f.g.Mark(false); !cdp.Is(err, cdp.Conflict) {
			t.Fatalf("a point while nobody reports writes: %v, %v", p, err)
		}
	}
	f.bus.with(func() {
		if newest > last {
			t.Errorf("a point of %v, and the client had gone by %v", time.Unix(0, newest), time.Unix(0, last))
		}
	})
	f.settle()
	f.end()
}

// The last point of a machine that is off holds all its writes, also those that
// nobody reported. There is none of a machine that is on, and none after the last.
func TestTheLastPointOfAMachineThatIsOff(t *testing.T) {
	f := tapWorld(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	f.still(func() { f.leave(0, true); f.leave(1, true) })
	f.one(8) // nobody reports it
	on := cdp.Errorf(cdp.Conflict, "look at machine", "", "it is on")
	var asked int
	for _, says := range [][]error{{on}, {nil, on}} {
		asked = 0
		p, err := f.g.LastPoint(ctx, func(context.Context) error { asked++; return says[asked-1] })
		if !cdp.Is(err, cdp.Conflict) || asked != len(says) {
			t.Fatalf("a machine that is on: %v, %v, asked %d times", p, err, asked)
		}
		f.eventually("it asks for its clients", f.state(event.NeedsResync))
	}
	p, err := f.g.LastPoint(ctx, func(context.Context) error {
		if _, err := f.g.Mark(true); !cdp.Is(err, cdp.Conflict) {
			t.Errorf("a point beside the last one: %v", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	f.eventually("the point at the journal", func() bool { return f.g.Status().Durable >= p.Frame })
	f.same()
	f.one(8) // it is on again
	if _, err := f.g.Mark(true); !cdp.Is(err, cdp.Conflict) || f.g.Status().State != event.NeedsResync {
		t.Fatalf("a point after the last one: %v, %+v", err, f.g.Status())
	}
	f.settle()
	if p, err = f.g.LastPoint(ctx, func(context.Context) error { t.Error("asked of a live tap"); return nil }); err != nil {
		t.Fatal(p, err)
	}
	f.end()
}

// A write is on its way to the journal, and one that undid it was missed: the
// journal still has what the snapshot has, and must not be asked for sums yet.
func TestNothingIsComparedWithAJournalThatIsBehind(t *testing.T) {
	f := tapWorld(t)
	f.bus.with(func() { f.bus.linkDown, f.bus.watch = true, nil }) // it has no state of this write
	data := make([]byte, 4096)
	fill(data, 1<<40|1)
	if err := f.g.guests.write(0, data, 8192); err != nil { // and the disk is as it was
		t.Fatal(err)
	}
	f.put(0, 512<<10, 512) // so that something is new
	f.eventually("the write is at the stream", func() bool { s := f.g.Status(); return s.Pending == 0 && s.Acked > s.Durable })
	f.v.faults(func() { f.v.noChanges = cdp.Errorf(cdp.Conflict, "ask for changes", "", "they are not tracked") })
	asked := make(chan struct{}, 1000)
	sums := f.g.deps.Sums
	f.g.deps.Sums = func(ctx context.Context, t cdp.Site, g cdp.GroupID, d cdp.DiskID, off, n int64, block int) ([][32]byte, error) {
		asked <- struct{}{}
		f.bus.mu.Lock()
		down := f.bus.linkDown
		f.bus.linkDown = false
		f.bus.mu.Unlock()
		defer f.bus.with(func() { f.bus.linkDown = down })
		return sums(ctx, t, g, d, off, n, block)
	}
	f.gone()
	f.connect()
	select {
	case <-asked:
		t.Error("it was asked")
	case <-time.After(100 * time.Millisecond):
	}
	f.bus.with(func() { f.bus.linkDown = false })
	f.eventually("replicating", f.state(event.Replicating))
	if f.g.Status().Verified == 0 {
		t.Error("nothing was compared")
	}
	f.settle()
	f.end()
}

// Writes to what a pass has yet to send get their place in the order, and the
// frozen content is sent without these sectors. The pass ends in a point.
func TestOlderContentNeverFollowsNewer(t *testing.T) {
	f := newFrozenWorld(newWorld(t, seedtest.Seed(t)), cdp.Tap)
	f.cfg.Slots = 32
	f.put(0, 0, 1<<20)
	f.v.faults(func() { f.v.noFreeze = transient })
	f.up()
	f.connect()
	f.eventually("seeding", f.state(event.Seeding))
	f.v.faults(func() { f.v.noFreeze, f.v.slow = nil, 30*time.Millisecond })
	f.run(200*time.Microsecond, 8)
	f.eventually("replicating", f.state(event.Replicating))
	f.eventually("a point", func() bool { n := 0; f.bus.with(func() { n = f.bus.markers }); return n > 0 })
	f.settle()
	if n := f.taken(); n != 1 {
		t.Fatalf("%d passes", n)
	}
	f.end()
}

// slowChanges holds a pass between its snapshot and what it makes of it.
type slowChanges struct {
	*host
	open chan struct{}
}

func (g slowChanges) Changed(ctx context.Context, id Machine, pass string, d cdp.DiskID, since string, fn func(off, n int64)) error {
	select {
	case <-g.open:
	case <-ctx.Done():
		return ctx.Err()
	}
	return g.host.Changed(ctx, id, pass, d, since, fn)
}

// held brings a replicating tap to a pass that has its snapshot and no more.
func (f *frozenWorld) held() (open func()) {
	f.t.Helper()
	g := slowChanges{f.h, make(chan struct{})}
	f.g.deps.Snapshots = g
	taken := f.taken()
	if err := f.g.Reseed(); err != nil {
		f.t.Fatal(err)
	}
	f.eventually("a snapshot", func() bool { return f.taken() > taken })
	return func() { close(g.open) }
}

// A client goes and comes back while a pass is under way: that pass cannot know
// what was missed after its snapshot, and another one finds it.
func TestAPassDoesNotCoverWhatIsMissedAfterItsSnapshot(t *testing.T) {
	f := tapWorld(t)
	open := f.held()
	f.still(func() { f.reports = false })
	f.put(1, 0, 512)
	for d := range f.job.Disks {
		f.g.clientGone(cdp.DiskID(d), false)
	}
	f.connect()
	open()
	f.eventually("replicating", f.state(event.Replicating))
	f.point()
	f.same()
	f.end()
}

// Frames with writes of a pass are lost: their sectors are left out of what is
// frozen, so their regions wait for another snapshot.
func TestWritesOfAPassThatAreLostAreReadAgain(t *testing.T) {
	f := tapWorld(t)
	open := f.held()
	f.bus.with(func() { f.bus.linkDown = true })
	for range 60 { // many times the window
		f.one(500)
		f.eventually("room", func() bool { return f.g.Status().Pending < 3 })
	}
	f.eventually("all at the stream", func() bool { return f.g.Status().Pending == 0 })
	var n int
	f.bus.with(func() { n = int(f.bus.last - f.bus.journal.No) })
	f.bus.lose(n)
	losses := func() uint64 {
		f.g.order.mu.Lock()
		defer f.g.order.mu.Unlock()
		return f.g.order.losses
	}
	before := losses()
	f.one(1)
	f.bus.with(func() { f.bus.linkDown = false })
	f.eventually("the loss is noticed", func() bool { return losses() > before })
	open()
	f.settle()
	f.end()
}

// The group is closed, for its job changes or the service stops, while a last
// point asks whether the machine is off, or waits for its disks: there is none.
func TestThereIsNoLastPointOfAClosedGroup(t *testing.T) {
	for _, when := range []string{"while it is asked", "while the disks are read"} {
		f := tapWorld(t)
		f.still(func() { f.leave(0, true); f.leave(1, true) })
		f.v.faults(func() { f.v.noFreeze = transient })
		closing := make(chan struct{})
		asks := func(context.Context) error {
			if when == "while it is asked" {
				defer close(closing)
				f.close(0)
			} else {
				time.AfterFunc(20*time.Millisecond, func() { defer close(closing); f.close(0) })
			}
			return nil
		}
		if p, err := f.g.LastPoint(t.Context(), asks); !cdp.Is(err, cdp.Transient) {
			t.Errorf("%s: %v, %v", when, p, err)
		}
		<-closing
		f.g = nil
		f.end()
	}
}
