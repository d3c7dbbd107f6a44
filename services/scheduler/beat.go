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
	if !d.known && !d.running && !d.pending {
		delete(b.jobs, name)
	}
	b.changed.Ring()
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
