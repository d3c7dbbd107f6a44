package node

import (
	"context"

	"golang.org/x/sync/errgroup"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/services/scheduler"
)

// badEntries is scheduler.BadEntries.
type badEntries struct {
	e      *env
	jobs   *bus.Bucket[spec.ReplicationJob]
	vmJobs *bus.Bucket[spec.VMJob]
	states *bus.Bucket[api.RunState]
}

var _ scheduler.BadEntries = badEntries{}

func (b badEntries) Watch(ctx context.Context, fn func(scheduler.BadEntry) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return watchBad(ctx, b.e, b.jobs, scheduler.JobSpec, fn) })
	g.Go(func() error { return watchBad(ctx, b.e, b.vmJobs, scheduler.JobSpec, fn) })
	g.Go(func() error { return watchBad(ctx, b.e, b.states, scheduler.RunState, fn) })
	return g.Wait()
}

func watchBad[T any](ctx context.Context, e *env, b *bus.Bucket[T], kind string, fn func(scheduler.BadEntry) error) error {
	return watchEntries(ctx, e, b, nil, func(x bus.Entry[T]) error {
		if x.Bad == nil {
			return nil
		}
		bad := scheduler.BadEntry{Kind: kind, Job: x.Key, Why: x.Bad}
		if !x.Lost {
			bad.Restore = func(ctx context.Context) error {
				_, err := b.Update(ctx, x.Key, x.Value, x.Revision)
				return err
			}
		}
		return fn(bad)
	})
}
