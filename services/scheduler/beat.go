package scheduler

import (
	"sync"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/engine/wake"
)

// idle is how long to wait when nothing is due; changes wake the keeper sooner.
const idle = time.Hour

// beat knows which jobs are due when. It is safe for concurrent use.
type beat struct {
	mu      sync.Mutex
	jobs    map[string]*cadence
	changed wake.Bell
}

// cadence is how often one job gets a mark. It does when it is known and running.
type cadence struct {
	known, running bool
	site           cdp.Site
	every          time.Duration
	next           time.Time // zero: at once
	pending        bool      // a mark is on its way
}

// dueMark is a mark to be sent.
type dueMark struct {
	Job  string
	Site cdp.Site
}

func newBeat() *beat { return &beat{jobs: map[string]*cadence{}, changed: wake.New()} }

// change changes a job's cadence and wakes the keeper.
func (b *beat) change(name string, f func(*cadence)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	d := b.jobs[name]
	if d == nil {
		d = &cadence{}
		b.jobs[name] = d
	}
	f(d)
	b.tidy(name, d)
	b.changed.Ring()
}

// tidy forgets a job of which nothing is known. Call with mu held.
func (b *beat) tidy(name string, d *cadence) {
	if !d.known && !d.running && !d.pending {
		delete(b.jobs, name)
	}
}

// take gives the marks that are due at now, and how long until the next is. A
// job whose mark is pending skips its beat; missed beats are skipped.
func (b *beat) take(now time.Time) (out []dueMark, wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	wait = idle
	for name, d := range b.jobs {
		if !d.known || !d.running {
			continue
		}
		if !d.next.After(now) {
			if d.next = d.next.Add(d.every); !d.next.After(now) {
				d.next = now.Add(d.every)
			}
			if !d.pending {
				d.pending = true
				out = append(out, dueMark{Job: name, Site: d.site})
			}
		}
		wait = min(wait, d.next.Sub(now))
	}
	return out, wait
}

// settle notes that the marks of some jobs are no longer on their way.
func (b *beat) settle(jobs []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, name := range jobs {
		if d := b.jobs[name]; d != nil {
			d.pending = false
			b.tidy(name, d)
		}
	}
}

// moment is how late a mark may be to go with others: a fiftieth of the shortest RPO, at
// most half a second.
func (b *beat) moment() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	m := time.Second / 2
	for _, d := range b.jobs {
		if d.known && d.running {
			m = min(m, d.every/50)
		}
	}
	return m
}
