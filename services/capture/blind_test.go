package capture

import (
	"context"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
)

func tapWorld(t *testing.T) *frozenWorld {
	f := newFrozenWorld(newWorld(t, seedOf(t)), Tap)
	f.put(0, 0, 512<<10)
	f.up()
	f.connect()
	f.settle()
	return f
}

// A client goes unnoticed, and a pass is made for another reason before anybody
// knows. What was missed until then is found all the same.
func TestAClientThatIsGoneUnnoticedLeavesNoHole(t *testing.T) {
	f := tapWorld(t)
	f.still(func() { f.told = false })
	f.put(0, 256<<10, 4096) // nobody tells
	f.g.mu.Lock()
	f.g.miss(1, 0, 512)
	f.g.settle("a write found no room")
	f.g.mu.Unlock()
	taken := f.v.taken
	f.eventually("a pass for that", func() bool {
		f.v.smu.Lock()
		defer f.v.smu.Unlock()
		return f.v.taken > taken && len(f.v.snaps) == 0
	})
	for d := range f.job.Disks {
		f.g.clientGone(cdp.DiskID(d), false)
	}
	f.eventually("it asks for its client", f.state(NeedsResync))
	before := f.sentBytes()
	f.settle()
	if n := f.sentBytes() - before; n != 64<<10 {
		t.Fatalf("%d bytes were sent for one block that was missed", n)
	}
	f.end()
}

// A write is on its way to the journal, and one that undid it was missed: the
// journal still has what the snapshot has, and must not be asked yet.
func TestNothingIsComparedWithAJournalThatIsBehind(t *testing.T) {
	f := tapWorld(t)
	f.bus.with(func() { f.bus.linkDown, f.bus.watch = true, nil }) // it has no state of this write
	data := make([]byte, 4096)
	fill(data, 1<<40|1)
	if err := f.g.write(0, data, 8192); err != nil { // and the disk is as it was
		t.Fatal(err)
	}
	f.put(0, 512<<10, 512) // so that something is new
	f.eventually("the write is at the stream", func() bool { s := f.g.Status(); return s.Pending == 0 && s.Acked > s.Durable })
	f.v.faults(func() { f.v.noChanges = cdp.Errorf(cdp.Conflict, "ask for changes", "", "they are not tracked") })
	asked := make(chan struct{}, 1000)
	sums := f.g.deps.Sums
	f.g.deps.Sums = func(ctx context.Context, g cdp.GroupID, d cdp.DiskID, off, n int64, block int) ([][32]byte, error) {
		asked <- struct{}{}
		f.bus.mu.Lock()
		down := f.bus.linkDown
		f.bus.linkDown = false
		f.bus.mu.Unlock()
		defer f.bus.with(func() { f.bus.linkDown = down })
		return sums(ctx, g, d, off, n, block)
	}
	f.gone()
	f.connect()
	select {
	case <-asked:
		t.Error("it was asked")
	case <-time.After(100 * time.Millisecond):
	}
	f.bus.with(func() { f.bus.linkDown = false })
	f.eventually("replicating", f.state(Replicating))
	if f.g.Status().Verified == 0 {
		t.Error("nothing was compared")
	}
	f.settle()
	f.end()
}

// Writes to what a pass has yet to send are in the order, and what is frozen
// goes around them; the pass ends in a point.
func TestOlderContentNeverGoesBehindNewer(t *testing.T) {
	f := newFrozenWorld(newWorld(t, seedOf(t)), Tap)
	f.cfg.Slots = 32
	f.put(0, 0, 1<<20)
	f.v.faults(func() { f.v.noFreeze = transient })
	f.up()
	f.connect()
	f.eventually("seeding", f.state(Seeding))
	f.v.faults(func() { f.v.noFreeze, f.v.slow = nil, 30*time.Millisecond })
	f.run(200*time.Microsecond, 8)
	f.eventually("replicating", f.state(Replicating))
	f.eventually("a point", func() bool { n := 0; f.bus.with(func() { n = f.bus.markers }); return n > 0 })
	f.settle()
	if f.v.taken != 1 {
		t.Fatalf("%d passes", f.v.taken)
	}
	f.end()
}
