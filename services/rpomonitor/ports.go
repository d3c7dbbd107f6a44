package rpomonitor

import (
	"context"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/rpo"
)

// Jobs are the jobs' specs.
type Jobs interface {
	// Watch calls fn, from one goroutine, with every job there is and then with
	// every change until ctx ends; job is nil when it was deleted.
	Watch(ctx context.Context, fn func(name string, job *spec.ReplicationJob) error) error
}

// Runs says which jobs run.
type Runs interface {
	// Watch works as Jobs.Watch; a job that it never names is stopped.
	Watch(ctx context.Context, fn func(name string, running bool) error) error
}

// Journal is the journal service of this site.
type Journal interface {
	// Newest is the newest point of every group.
	Newest(ctx context.Context) ([]api.GroupNewest, error)
}

// Points reports recovery points as they become durable.
type Points interface {
	// Watch calls fn with each new point, and with gone set when one was deleted,
	// until ctx ends.
	Watch(ctx context.Context, fn func(g cdp.GroupID, p cdp.Point, gone bool) error) error
}

// Records are the RPO records, by job, and the newest round of measurements.
type Records interface {
	Get(ctx context.Context, job string) (rpo.Record, error) // NotFound
	Put(ctx context.Context, job string, r rpo.Record) error
	Delete(ctx context.Context, job string) error
	PutRound(ctx context.Context, r rpo.Round) error
}

// Events publishes facts.
type Events interface {
	// Emit returns when the event is stored.
	Emit(ctx context.Context, p event.Payload) error
}
