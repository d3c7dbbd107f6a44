package journal

import (
	"context"
	"fmt"
	"sync"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/core/pointtime"
	"tidemark.dev/pkg/engine/wake"
)

// sourceClock measures how far a source's clock is off, and reports clocks that step
// and answers that cannot be true.
type sourceClock struct {
	deps   Deps
	cfg    Config
	clocks *sourceClocks
	site   cdp.Site
	id     cdp.GroupID

	again wake.Bell // what is measured was contradicted: measure now
	// Of the goroutine that measures.
	last    pointtime.Reading
	refused int // measurements in a row

	mu       sync.Mutex
	measured pointtime.Offsets
	reported map[string]time.Duration // what is wrong: when that was reported, as of Clock.Elapsed
}

func newSourceClock(cfg Config, deps Deps, clocks *sourceClocks, spec GroupSpec) *sourceClock {
	c := &sourceClock{deps: deps, cfg: cfg, clocks: clocks, site: spec.Source, id: spec.Group, again: wake.New(), reported: map[string]time.Duration{}}
	c.last = c.read()
	return c
}

// read reads this site's clock. The process may lose its processor between the looks
// at its two hands, so it tries a few times.
func (c *sourceClock) read() (best pointtime.Reading) {
	for try := range 5 {
		before := c.deps.Clock.Elapsed()
		wall := c.deps.Clock.Now()
		within := (c.deps.Clock.Elapsed() - before) / 2
		if try == 0 || within < best.Within {
			best = pointtime.Reading{Wall: wall, Ran: before + within, Within: within + 1}
		}
		if within < 100*time.Microsecond {
			break
		}
	}
	return best
}

// offset is the source's clock offset as far as it is known.
func (c *sourceClock) offset() pointtime.Offset {
	now := c.read()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.measured.Best(now)
}

// run measures until ctx ends.
func (c *sourceClock) run(ctx context.Context) {
	age := c.cfg.ClockEvery / 2
	for ctx.Err() == nil {
		wait := c.cfg.ClockEvery
		measured := c.measure(ctx, age)
		if age = c.cfg.ClockEvery / 2; !measured {
			age = c.cfg.Beat
			wait = min(wait, 2*c.cfg.Beat) // the source may just be starting
		}
		t := c.deps.Clock.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-t.C():
		case <-c.again:
			_ = clock.Sleep(ctx, c.deps.Clock, min(wait, c.cfg.Beat)) // not more often than that
			age = c.cfg.Beat
		}
		t.Stop()
	}
}

// measure measures once, by an answer that is at most this old; false if the source gave
// none that can be true.
func (c *sourceClock) measure(ctx context.Context, age time.Duration) bool {
	actx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	a, err := c.clocks.ask(actx, c.site, age, c.read)
	now := c.read()
	if own := c.last.Stepped(now); own.Abs() > steppedFar {
		c.alarm(ctx, "own step", fmt.Sprintf("this site's clock stepped by %v: recovery points keep their order, and their errors say how wrong their times may be", own.Round(time.Millisecond)))
	}
	c.last = now
	if err != nil {
		return false // what was measured stays, and widens
	}
	m, err := pointtime.Measure(a.sent, a.received, a.replied, a.back)
	if err != nil {
		if c.refused++; c.refused > 1 { // one may be a step in the middle of it
			c.alarm(ctx, "refused", fmt.Sprintf("the clock of site %s is not believed: %v", c.site, err))
		}
		return false
	}
	c.refused = 0
	c.mu.Lock()
	kept, stepped := c.measured.Add(m)
	c.measured = kept
	c.mu.Unlock()
	if stepped.Abs() > steppedFar {
		c.alarm(ctx, "step", fmt.Sprintf("the clock of site %s stepped by %v against this site's: recovery points keep their order, and their errors say how wrong their times may be",
			c.site, (-stepped).Round(time.Millisecond)))
	}
	return true
}

// steppedFar is a step of a clock that is worth an alarm.
const steppedFar = time.Second

// doubt reports a point whose time cannot be what the source says.
func (c *sourceClock) doubt(ctx context.Context, p cdp.Point) {
	c.again.Ring()
	c.alarm(ctx, "doubt", fmt.Sprintf("the time that site %s gives point %s cannot be true: it is listed at %s, which may be wrong by %v",
		c.site, p.ID(), p.Time.UTC().Format(time.RFC3339), p.Bound.Round(time.Millisecond)))
}

// alarm reports what is wrong, once a minute.
func (c *sourceClock) alarm(ctx context.Context, what, text string) {
	now := c.deps.Clock.Elapsed()
	c.mu.Lock()
	at, before := c.reported[what]
	news := !before || now-at >= time.Minute
	if news {
		c.reported[what] = now
	}
	c.mu.Unlock()
	if news {
		c.deps.Facts.Alarm(ctx, c.id, AlarmClock, text)
	}
}
