package rpomonitor

import (
	"sync"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/spec"
)

// known is the newest that the monitor has heard, by job. It is safe for
// concurrent use.
type known struct {
	mu   sync.Mutex
	jobs map[string]*jobFacts
}

// jobFacts is what is known of a job and its group, which have one name.
type jobFacts struct {
	spec    *spec.ReplicationJob // nil: there is no such job
	running bool
	point   *cdp.Point // the newest durable one
	// journal is when the journal last answered; offset and bound are its clock
	// measurement, as of api.GroupNewest.
	journal       time.Time
	offset, bound time.Duration
	// stopped: a failover has halted or sealed the journal, so no point can come.
	// That is no breach; it is no protection either.
	stopped bool
}

func newKnown() *known { return &known{jobs: map[string]*jobFacts{}} }

func (k *known) change(name string, f func(*jobFacts)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	j := k.jobs[name]
	if j == nil {
		j = &jobFacts{}
		k.jobs[name] = j
	}
	f(j)
}

func (k *known) onJob(name string, sp *spec.ReplicationJob) error {
	k.change(name, func(j *jobFacts) { j.spec = sp })
	return nil
}

func (k *known) onRun(name string, running bool) error {
	k.change(name, func(j *jobFacts) { j.running = running })
	return nil
}

// onPoint takes the event of a point. When the newest was deleted, the journal's next
// answer says which is the newest now.
func (k *known) onPoint(g cdp.GroupID, p cdp.Point, gone bool) error {
	k.change(string(g), func(j *jobFacts) {
		switch {
		case gone && j.point != nil && j.point.Frame == p.Frame:
			j.point = nil
		case !gone && (j.point == nil || j.point.Frame < p.Frame):
			j.point = &p
		}
	})
	return nil
}

// onAnswer takes the journal's answer. A point whose event came meanwhile may be newer.
func (k *known) onAnswer(groups []api.GroupNewest, now time.Time) {
	for _, g := range groups {
		k.change(string(g.Group), func(j *jobFacts) {
			j.journal, j.offset, j.bound = now, g.ClockOffset, g.ClockBound
			j.stopped = g.State.Stopped()
			if g.Point == nil && g.Frame == 0 {
				j.point = nil // an empty journal
			}
			if g.Point != nil && (j.point == nil || j.point.Frame <= g.Point.Frame) {
				j.point = g.Point
			}
		})
	}
}

// all is a copy of what is known.
func (k *known) all() map[string]jobFacts {
	k.mu.Lock()
	defer k.mu.Unlock()
	out := map[string]jobFacts{}
	for name, j := range k.jobs {
		out[name] = *j
	}
	return out
}
