package capture

import (
	"sync/atomic"
	"testing"
	"time"

	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/seedtest"
)

// countingClock counts the timers that were set.
type countingClock struct {
	clock.Clock
	timers atomic.Int64
}

func (c *countingClock) NewTimer(d time.Duration) clock.Timer {
	c.timers.Add(1)
	return c.Clock.NewTimer(d)
}

// A group that nobody writes to sets no timers: a site has a thousand of them. It goes
// on with the next write.
func TestAnIdleGroupSleeps(t *testing.T) {
	w := newWorld(t, seedtest.Seed(t))
	c := &countingClock{Clock: clock.System}
	w.deps.Clock = c
	w.up()
	w.eventually("replicating", w.state(event.Replicating))
	for range 3 {
		for k := range uint64(8) {
			buf := make([]byte, stripe)
			if err := opOf(w.seed, 0, w.ops[0].Load()+1).do(w.g, 0, w.ops[0].Load()+1, buf); err != nil {
				t.Fatal(k, err)
			}
			w.ops[0].Add(1)
		}
		w.point()
		w.eventually("no more timers", func() bool {
			before := c.timers.Load()
			time.Sleep(20 * w.cfg.ProgressEvery)
			return c.timers.Load() == before
		})
	}
	w.end()
}
