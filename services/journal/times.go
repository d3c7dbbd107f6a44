package journal

import (
	"sync"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/pointtime"
)

// times gives the points of a journal their times. What is shown is the source's word
// within what this site knows (pkg/core/pointtime). What retention goes by is how long
// the journal has run since it stored a point: no source and no step of a clock
// changes that. While the journal does not run, no point grows older.
type times struct {
	source *sourceClock

	mu    sync.Mutex
	since time.Duration // the Clock.Elapsed at which the journal had run for no time
}

// newTimes begins with a journal that has run that long before, or longer.
func newTimes(source *sourceClock, ran time.Duration) *times {
	return &times{source: source, since: source.deps.Clock.Elapsed() - ran}
}

// stamp is what a new point is stored with; prev is the point before it, nil if there
// is none.
func (t *times) stamp(prev *cdp.Point, p cdp.Point) cdp.Point {
	ran := time.Duration(0)
	if prev != nil {
		ran = prev.Ran
		prev = &t.listed([]cdp.Point{*prev})[0]
	}
	p = pointtime.Stamp(prev, p, t.source.offset(), t.source.deps.Clock.Now())
	p.Ran = t.ran(ran)
	return p
}

// listed changes points, oldest first, to what people see of them.
func (t *times) listed(ps []cdp.Point) []cdp.Point {
	return pointtime.List(ps, t.source.offset(), t.source.deps.Clock.Now())
}

// aged changes listed points, oldest first, to what retention sees of them: their
// times are as long before now as the journal has run since it stored them.
func (t *times) aged(ps []cdp.Point, now time.Time) []cdp.Point {
	if len(ps) == 0 {
		return ps
	}
	ran := t.ran(ps[len(ps)-1].Ran)
	for i := range ps {
		if p := &ps[i]; p.Ran > 0 { // else an older version stored it
			p.Time = now.Add(p.Ran - ran)
		}
	}
	return ps
}

// ran is how long the journal has run: at least as long as when it stored its newest
// point, for it may have been restarted since.
func (t *times) ran(newest time.Duration) time.Duration {
	now := t.source.deps.Clock.Elapsed()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.since = min(t.since, now-newest)
	return now - t.since + 1 // zero means unknown
}
