package node

import (
	"context"
	"time"

	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/subjects"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/spec"
)

// watch is Bucket.Watch that outlives the bus: it begins anew until ctx ends.
// fn is given nil for a key that was deleted.
func watch[T any](ctx context.Context, e *env, b *bus.Bucket[T], fn func(key string, v *T) error) error {
	for {
		err := b.Watch(ctx, nil, func(x bus.Entry[T]) error {
			if x.Deleted {
				return fn(x.Key, nil)
			}
			return fn(x.Key, &x.Value)
		})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !cdp.Is(err, cdp.Transient) {
			return err
		}
		e.warn(err)
		if err := clock.Sleep(ctx, e.clock, time.Second); err != nil {
			return err
		}
	}
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

// Watch leaves out the jobs whose target is another site, and skips those that
// cannot be used.
func (j jobs) Watch(ctx context.Context, fn func(string, *spec.ReplicationJob) error) error {
	return watch(ctx, j.e, j.b, func(name string, job *spec.ReplicationJob) error {
		if job != nil {
			if err := job.Check(); err != nil {
				j.e.warn(err)
				return nil
			}
		}
		if job != nil && job.Target.Site != j.e.site {
			return nil
		}
		return fn(name, job)
	})
}
