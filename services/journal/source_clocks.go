package journal

import (
	"context"
	"sync"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/pointtime"
)

// sourceClocks asks each source for its clock, once for all of its groups: a site may
// have a thousand.
type sourceClocks struct {
	deps Deps

	mu   sync.Mutex
	last map[cdp.Site]*clockAnswer
}

// clockAnswer is one answer, or one question that is not answered yet.
type clockAnswer struct {
	over chan struct{} // closed once the other fields are set
	// sent and back are this site's clock before and after, received and replied the
	// source's in between.
	sent, back        pointtime.Reading
	received, replied time.Time
	err               error
}

func newSourceClocks(deps Deps) *sourceClocks {
	return &sourceClocks{deps: deps, last: map[cdp.Site]*clockAnswer{}}
}

// ask is an answer of the site that is at most this old.
func (c *sourceClocks) ask(ctx context.Context, site cdp.Site, age time.Duration, read func() pointtime.Reading) (*clockAnswer, error) {
	c.mu.Lock()
	a := c.last[site]
	if a == nil || a.olderThan(age, c.deps.Clock.Elapsed()) {
		a = &clockAnswer{over: make(chan struct{}), sent: read()}
		c.last[site] = a
		c.mu.Unlock()
		received, replied, err := c.deps.Capture.Clock(ctx, site)
		a.received, a.replied, a.err, a.back = time.Unix(0, received), time.Unix(0, replied), err, read()
		close(a.over)
		return a, err
	}
	c.mu.Unlock()
	select {
	case <-a.over:
		return a, a.err
	case <-ctx.Done():
		return a, ctx.Err()
	}
}

// olderThan is false for a question that is not answered yet.
func (a *clockAnswer) olderThan(age, now time.Duration) bool {
	select {
	case <-a.over:
		return now-a.back.Ran >= age
	default:
		return false
	}
}
