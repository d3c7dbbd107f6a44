package capture

import (
	"testing"
	"time"

	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/engine/window"
	"tidemark.dev/pkg/seedtest"
)

// Two groups share little memory, and the stream of one dies under load: it takes
// what there is and notes the rest, no guest waits, the other group goes on, and both
// targets end up with every write.
func TestAGroupThatCannotSendLeavesMemoryToTheOthers(t *testing.T) {
	seed := seedtest.Seed(t)
	budget := window.NewBudget(6 << 20)
	dead, live := newWorld(t, seed), newWorld(t, seed+1)
	for _, w := range []*world{dead, live} {
		w.deps.Windows = budget
		w.cfg.Slots = 32
		w.up()
		w.write(time.Millisecond)
		w.eventually("replicating", w.state(event.Replicating))
	}
	dead.bus.with(func() { dead.bus.down = true })
	dead.eventually("the shared memory taken", func() bool { return dead.g.Status().State == event.Overflow })
	k := live.ops[0].Load()
	live.eventually("operations beside it", func() bool { return live.ops[0].Load() > k+100 })
	live.settle()
	k = dead.ops[0].Load()
	dead.eventually("operations without memory", func() bool { return dead.ops[0].Load() > k+100 })
	dead.settle()
	dead.end()
	live.end()
	if n := budget.Taken(); n != 0 {
		t.Errorf("%d bytes of the memory are taken by nobody", n)
	}
}

// A group that replicates holds no memory for copying: a site has a thousand of them.
func TestAReplicatingGroupHoldsNoMemoryForCopies(t *testing.T) {
	w := newWorld(t, seedtest.Seed(t))
	w.up()
	for range 2 {
		w.eventually("its memory is given back", func() bool {
			o := &w.g.order
			o.mu.Lock()
			defer o.mu.Unlock()
			return o.state == event.Replicating && o.copy.touched == nil && o.copy.parts == nil
		})
		if err := w.g.Reseed(); err != nil {
			t.Fatal(err)
		}
	}
	w.end()
}
