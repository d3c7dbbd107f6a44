package capture

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/core/frame"
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

// countingEpochs counts the epochs that were given out.
type countingEpochs struct {
	Epochs
	given atomic.Int64
}

func (c *countingEpochs) Next(ctx context.Context, g cdp.GroupID, held cdp.Epoch) (cdp.Epoch, error) {
	c.given.Add(1)
	return c.Epochs.Next(ctx, g, held)
}

// shut is a stream that cannot be reached, as that of a job that is not running.
type shut struct {
	Stream
	tries atomic.Int64
	open  atomic.Bool
}

func (s *shut) Tail(ctx context.Context) (cdp.FrameNo, *frame.Header, error) {
	if s.tries.Add(1); !s.open.Load() {
		return 0, nil, transient
	}
	return s.Stream.Tail(ctx)
}

// A group whose job is not running takes one epoch, however often it looks whether it
// runs: each is a write to the bus that the peer gets, too.
func TestAGroupThatWaitsForItsStreamTakesOneEpoch(t *testing.T) {
	w := newWorld(t, seedtest.Seed(t))
	c := &countingEpochs{Epochs: w.deps.Epochs}
	s := &shut{Stream: w.bus.open()}
	w.deps.Epochs, w.deps.Stream = c, func(cdp.GroupID) (Stream, error) { return s, nil }
	w.up()
	w.eventually("it has looked ten times", func() bool { return s.tries.Load() >= 10 })
	if n := c.given.Load(); n != 1 {
		t.Errorf("it took %d epochs", n)
	}
	s.open.Store(true)
	w.eventually("replicating", w.state(event.Replicating))
	if n := c.given.Load(); n != 1 {
		t.Errorf("it took %d epochs to attach", n)
	}
	w.point()
	w.end()
}
