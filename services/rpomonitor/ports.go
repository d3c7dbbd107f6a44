package rpomonitor

import (
	"context"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/rpo"
)

// Jobs are the specs that were applied.
type Jobs interface {
	// Watch calls fn, from one goroutine, with every job that stands and then
	// with every change until ctx ends; job is nil when it was deleted.
	Watch(ctx context.Context, fn func(name string, job *spec.ReplicationJob) error) error
}

// Runs says which jobs are meant to run.
type Runs interface {
	// Watch is as Jobs.Watch; a job it never names is stopped.
	Watch(ctx context.Context, fn func(name string, running bool) error) error
}

// Journal is the journal service of this site.
type Journal interface {
	// Status is that of all groups.
	Status(ctx context.Context) ([]api.GroupStatus, error)
}

// Points tells of recovery points as they become durable.
type Points interface {
	// Watch calls fn with each new point, and with gone set when one was
	// deleted, until ctx ends.
	Watch(ctx context.Context, fn func(g cdp.GroupID, p cdp.Point, gone bool) error) error
}

// Record is what is kept of a job's RPO, for status and over restarts.
type Record struct {
	rpo.State
	Objective time.Duration `json:"objectiveNanos"`
	FailAt    time.Duration `json:"failAtNanos,omitempty"`
	// Point is the newest durable recovery point known.
	Point *cdp.Point `json:"point,omitempty"`
	// Journal is when the journal answered last; zero if it never did.
	Journal     time.Time     `json:"journal,omitzero"`
	ClockOffset time.Duration `json:"clockOffsetNanos"`
	ClockBound  time.Duration `json:"clockBoundNanos"` // 0: not measured
}

// Records keeps them by job.
type Records interface {
	Get(ctx context.Context, job string) (Record, error) // NotFound
	Put(ctx context.Context, job string, r Record) error
	Delete(ctx context.Context, job string) error
}

// Events takes facts; it returns when they are kept.
type Events interface {
	Emit(ctx context.Context, p event.Payload) error
}

// Clock is the target's time.
type Clock interface {
	Now() time.Time
	After(d time.Duration) <-chan time.Time
}
