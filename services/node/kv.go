package node

import (
	"context"
	"time"

	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/subjects"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/contract/spec"
)

// watch is Bucket.Watch that outlives the bus: it begins anew until ctx ends or fn
// fails. fn is given nil for a key that was deleted, and nothing for one that has no
// value that can be read: what it had before stays in force.
func watch[T any](ctx context.Context, e *env, b *bus.Bucket[T], fn func(key string, v *T) error) error {
	return watchEntries(ctx, e, b, nil, func(x bus.Entry[T]) error {
		if x.Bad != nil {
			e.warn(x.Bad)
		}
		switch {
		case x.Lost:
			return nil
		case x.Deleted:
			return fn(x.Key, nil)
		}
		return fn(x.Key, &x.Value)
	})
}

// watchEntries is watch with whole entries. synced, if not nil, is called each time fn
// has had all there is.
func watchEntries[T any](ctx context.Context, e *env, b *bus.Bucket[T], synced func(), fn func(bus.Entry[T]) error) error {
	again := clock.Backoff{Clock: e.clock, Min: time.Second, Max: 15 * time.Second}
	for {
		var mine error // fn's
		err := b.Watch(ctx, func() {
			again.Reset()
			if synced != nil {
				synced()
			}
		}, func(x bus.Entry[T]) error { mine = fn(x); return mine })
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if mine != nil {
			return mine
		}
		e.warn(err)
		if err := again.Wait(ctx); err != nil {
			return err
		}
	}
}

// readable are the values of entries that have one.
func readable[T any](all []bus.Entry[T]) []T {
	var out []T
	for _, x := range all {
		if !x.Lost {
			out = append(out, x.Value)
		}
	}
	return out
}

// jobs are the specs of a site's spec bucket. It is the Jobs port of scheduler,
// monitor and failover.
type jobs struct {
	e *env
	b *bus.Bucket[spec.ReplicationJob]
}

func openJobs(ctx context.Context, e *env, c *bus.Conn) (jobs, error) {
	b, err := bus.OpenBucket[spec.ReplicationJob](ctx, c, e.site, subjects.BucketSpec, subjects.KeyJob)
	return jobs{e, b}, err
}

func (j jobs) Get(ctx context.Context, name string) (spec.ReplicationJob, error) {
	x, err := j.b.Get(ctx, name)
	return x.Value, err
}

// Watch leaves out the jobs whose target is another site.
func (j jobs) Watch(ctx context.Context, fn func(string, *spec.ReplicationJob) error) error {
	return watch(ctx, j.e, j.b, func(name string, job *spec.ReplicationJob) error {
		if job != nil && job.Target.Site != j.e.site {
			return nil
		}
		return fn(name, job)
	})
}
