package main

import (
	"context"
	"time"

	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/subjects"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/failoverrun"
)

// pollEvery is how often a waiting command looks.
const pollEvery = 150 * time.Millisecond

func (c *session) journal() client.Journal { return client.NewJournal(c.conn, c.site) }

func (c *session) jobs(ctx context.Context) (*bus.Bucket[spec.ReplicationJob], error) {
	return bus.OpenBucket[spec.ReplicationJob](ctx, c.conn, c.site, subjects.BucketSpec, subjects.KeyJob)
}

func (c *session) sites(ctx context.Context) (*bus.Bucket[spec.Site], error) {
	return bus.OpenBucket[spec.Site](ctx, c.conn, c.site, subjects.BucketSpec, subjects.KeySite)
}

// job is one job's spec; NotFound says what to do. The name of a job on one VM
// means that VM's own job: use the name that comes back.
func (c *session) job(ctx context.Context, name string) (spec.ReplicationJob, error) {
	b, err := c.jobs(ctx)
	if err != nil {
		return spec.ReplicationJob{}, err
	}
	x, err := b.Get(ctx, name)
	if cdp.Is(err, cdp.NotFound) {
		if only, ok, e := c.onlyMember(ctx, name); e != nil || ok {
			return only, e
		}
	}
	if cdp.Is(err, cdp.NotFound) || cdp.Is(err, cdp.Invalid) {
		e := cdp.Errorf(cdp.NotFound, "find job", name, "there is no such job at site %s", c.site)
		return x.Value, e.WithHint("see what there is: tidemark get job")
	}
	return x.Value, err
}

// state reads one value of the state bucket; NotFound.
func state[T any](ctx context.Context, c *session, prefix, key string) (T, error) {
	b, err := bus.OpenBucket[T](ctx, c.conn, c.site, subjects.BucketState, prefix)
	if err != nil {
		var none T
		return none, err
	}
	x, err := b.Get(ctx, key)
	return x.Value, err
}

// maybe is state where nothing is an answer, too: nil.
func maybe[T any](ctx context.Context, c *session, prefix, key string) (*T, error) {
	v, err := state[T](ctx, c, prefix, key)
	if cdp.Is(err, cdp.NotFound) {
		return nil, nil
	}
	return &v, err
}

// states are the values of the state bucket under a prefix: all, or that of
// one key.
func states[T any](ctx context.Context, c *session, prefix, only string) (map[string]*T, error) {
	b, err := bus.OpenBucket[T](ctx, c.conn, c.site, subjects.BucketState, prefix)
	if err != nil {
		return nil, err
	}
	all, err := entries(ctx, b, only)
	out := map[string]*T{}
	for _, x := range all {
		out[x.Key] = &x.Value
	}
	return out, err
}

func (c *session) runState(ctx context.Context, job string) (*api.RunState, error) {
	return maybe[api.RunState](ctx, c, subjects.KeyJob, job)
}

func (c *session) run(ctx context.Context, job string) (*failoverrun.Run, error) {
	return maybe[failoverrun.Run](ctx, c, subjects.KeyFailover, job)
}
