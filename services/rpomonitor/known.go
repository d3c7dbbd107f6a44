package rpomonitor

import (
	"sync"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/spec"
)

// known is what the monitor was told, by job. It is safe for concurrent use.
type known struct {
	mu   sync.Mutex
	jobs map[string]*job
}

// job is one job as it is known. A group has the name of its job.
type job struct {
	spec          *spec.ReplicationJob // nil: not applied
	running       bool
	point         *cdp.Point // the newest durable one
	journal       time.Time
	offset, bound time.Duration
	// idle: a failover has halted or sealed the journal, so that no point can
	// come. That is no breach; it is no protection either.
	idle bool
}

func newKnown() *known { return &known{jobs: map[string]*job{}} }

func (k *known) change(name string, f func(*job)) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	j := k.jobs[name]
	if j == nil {
		j = &job{}
		k.jobs[name] = j
	}
	f(j)
	return nil
}

func (k *known) onJob(name string, sp *spec.ReplicationJob) error {
	return k.change(name, func(j *job) { j.spec = sp })
}

func (k *known) onRun(name string, running bool) error {
	return k.change(name, func(j *job) { j.running = running })
}

// onPoint takes the news of a point. Of a deleted one the next status tells
// which is the newest now.
func (k *known) onPoint(g cdp.GroupID, p cdp.Point, gone bool) error {
	return k.change(string(g), func(j *job) {
		switch {
		case gone && j.point != nil && j.point.Frame == p.Frame:
			j.point = nil
		case !gone && (j.point == nil || j.point.Frame < p.Frame):
			j.point = &p
		}
	})
}

// onStatus takes the journal's word. A point that was heard of while it spoke
// may be newer than what it says.
func (k *known) onStatus(groups []api.GroupStatus, now time.Time) {
	for _, g := range groups {
		_ = k.change(string(g.Group), func(j *job) {
			j.journal, j.offset, j.bound = now, g.ClockOffset, g.ClockBound
			j.idle = g.State.Stopped()
			if g.Newest == nil && g.Points == 0 && g.Frame == 0 {
				j.point = nil // an empty journal
			}
			if g.Newest != nil && (j.point == nil || j.point.Frame <= g.Newest.Frame) {
				j.point = g.Newest
			}
		})
	}
}

// all is a copy of what is known.
func (k *known) all() map[string]job {
	k.mu.Lock()
	defer k.mu.Unlock()
	out := map[string]job{}
	for name, j := range k.jobs {
		out[name] = *j
	}
	return out
}
