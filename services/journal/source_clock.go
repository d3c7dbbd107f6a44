package journal

import (
	"context"
	"slices"
	"sync"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
)

// sourceClock measures how far a source's clock is off.
type sourceClock struct {
	deps Deps
	cfg  Config
	site cdp.Site

	mu       sync.Mutex
	measured []offset // the newest last
}

// maxMeasured is how many measurements are kept.
const maxMeasured = 16

// offset is the source's clock offset as far as it is known.
func (c *sourceClock) offset() offset {
	c.mu.Lock()
	defer c.mu.Unlock()
	return best(c.measured, c.deps.Clock.Now())
}

// run measures until ctx ends.
func (c *sourceClock) run(ctx context.Context) {
	for {
		wait := c.cfg.ClockEvery
		if !c.measure(ctx) {
			wait = min(wait, 2*c.cfg.Beat) // the source may just be starting
		}
		if clock.Sleep(ctx, c.deps.Clock, wait) != nil {
			return
		}
	}
}

// measure measures once; false if the source did not answer.
func (c *sourceClock) measure(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	sent := c.deps.Clock.Now()
	received, replied, err := c.deps.Capture.Clock(ctx, c.site)
	back := c.deps.Clock.Now()
	if err != nil {
		return false // what was measured stays, and widens
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.measured = append(c.measured, measure(sent, time.Unix(0, received), time.Unix(0, replied), back))
	if len(c.measured) > maxMeasured {
		c.measured = c.measured[1:]
	}
	return true
}

// drift is how far two clocks may run apart, per time: 200 parts in a million.
const drift = 5000

// offset is the measured difference of two clocks, as an interval.
type offset struct {
	// Ahead is how much must be added to the source's time to get the target's.
	Ahead time.Duration
	// Bound is the greatest error of Ahead; 0 means not measured.
	Bound time.Duration
	At    time.Time
}

// measure makes an offset of the four times of an exchange: sent and back on
// the target's clock, received and replied on the source's.
func measure(sent, received, replied, back time.Time) offset {
	rtt := back.Sub(sent) - replied.Sub(received)
	return offset{
		Ahead: (sent.Sub(received) + back.Sub(replied)) / 2,
		Bound: max(rtt/2, time.Microsecond),
		At:    back,
	}
}

// best is the tightest of some measurements at time now, each widened by how far
// the clocks may have drifted since then.
func best(ms []offset, now time.Time) offset {
	if len(ms) == 0 {
		return offset{}
	}
	return slices.MinFunc(ms, func(a, b offset) int {
		return int(a.widened(now).Bound - b.widened(now).Bound)
	}).widened(now)
}

func (o offset) widened(now time.Time) offset {
	if o.Bound > 0 {
		o.Bound += now.Sub(o.At) / drift
	}
	return o
}

// target is a source time on the target's clock.
func (o offset) target(t time.Time) time.Time { return t.Add(o.Ahead).UTC() }

// point is a point with its time on the target's clock. One that was stored with it
// keeps it, and its error: what is measured later says less about then. One that was
// stored before anything was measured still has the source's time.
func (o offset) point(p cdp.Point) cdp.Point {
	if p.Bound > 0 {
		return p
	}
	p.Time, p.Bound = o.target(p.Time), o.Bound
	return p
}
