package main

import (
	"context"
	"errors"
	"time"

	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/contract/subjects"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/failoverrun"
	"tidemark.dev/services/scheduler"
)

// pollEvery is how often a waiting command looks.
const pollEvery = 150 * time.Millisecond

// pendingFor is how long a command waits for one like it to be settled.
const pendingFor = 10 * time.Second

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

func (c *session) runState(ctx context.Context, job string) (*scheduler.RunState, error) {
	return maybe[scheduler.RunState](ctx, c, subjects.KeyJob, job)
}

func (c *session) run(ctx context.Context, job string) (*failoverrun.Run, error) {
	return maybe[failoverrun.Run](ctx, c, subjects.KeyFailover, job)
}

// command sends a command and waits until done says so, or a service refuses
// it. With a nil done it only sends. ctx bounds the wait.
//
// One like it that is still on its way is waited for a little: the last command
// of the operator, or a mark of the cadence.
func (c *session) command(ctx context.Context, site cdp.Site, p event.Payload, done func(context.Context) (bool, error)) error {
	id, err := c.conn.Command(ctx, site, p)
	for over := time.Now().Add(pendingFor); bus.IsPending(err) && time.Now().Before(over); {
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pollEvery):
		}
		id, err = c.conn.Command(ctx, site, p)
	}
	if err != nil || done == nil {
		return err
	}
	return c.await(ctx, site, id, p.About(), done)
}

// await waits until done, or the refusal of the command id.
func (c *session) await(ctx context.Context, site cdp.Site, id, about string, done func(context.Context) (bool, error)) error {
	wctx, cancel := context.WithCancel(ctx)
	refused := make(chan error, 1)
	go func() {
		f := bus.EventFilter{Site: site, Area: "command", Fact: "refused", ID: about}
		refused <- c.conn.WatchEvents(wctx, f, func(_ context.Context, e bus.SeenEvent) error {
			var r event.CommandRefused
			if e.Into(&r) != nil || r.ID != id {
				return nil
			}
			return &cdp.Error{Op: "refused", Kind: r.Kind, Cause: errors.New(r.Reason), Hint: r.Hint}
		})
	}()
	ended := false
	defer func() {
		cancel()
		if !ended {
			<-refused
		}
	}()
	for {
		ok, err := done(ctx)
		if err != nil && ctx.Err() == nil {
			return err
		}
		if ok {
			return nil
		}
		select {
		case err := <-refused:
			ended = true
			if ctx.Err() == nil {
				return err
			}
		case <-time.After(pollEvery):
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			return timeout(ctx)
		}
	}
}

// timeout is why a wait ended: the operator, or its limit.
func timeout(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	e := cdp.Errorf(cdp.Transient, "wait", "", "not done within the --timeout")
	return e.WithHint("it goes on by itself if the service runs; look with: tidemark status")
}
