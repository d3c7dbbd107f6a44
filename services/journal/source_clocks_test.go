package journal

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/core/pointtime"
)

// countedClock is a source whose clock is asked for, and counts that.
type countedClock struct {
	Capture
	asked atomic.Int64
	hold  chan struct{}
}

func (c *countedClock) Clock(context.Context, cdp.Site) (int64, int64, error) {
	c.asked.Add(1)
	<-c.hold
	return 1, 2, nil
}

// The clock of a source is asked for once, however many groups it has.
func TestTheClockOfASourceIsAskedForOnceForAllItsGroups(t *testing.T) {
	source := &countedClock{hold: make(chan struct{})}
	sim := clock.NewSimulated(time.Unix(1000, 0))
	clocks := newSourceClocks(Deps{Capture: source, Clock: sim})
	read := func() pointtime.Reading { return pointtime.Reading{Wall: sim.Now(), Ran: sim.Elapsed()} }
	ask := func() {
		if a, err := clocks.ask(t.Context(), "prod", 5*time.Second, read); err != nil || a.replied != time.Unix(0, 2) {
			t.Error(a, err)
		}
	}
	var groups sync.WaitGroup
	for range 100 {
		groups.Go(ask)
	}
	close(source.hold)
	groups.Wait()
	ask()
	if n := source.asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
	sim.Advance(5 * time.Second)
	ask()
	if n := source.asked.Load(); n != 2 {
		t.Errorf("asked %d times, and the answer was too old for the last", n)
	}
}
