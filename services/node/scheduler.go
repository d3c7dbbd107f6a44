package node

import (
	"context"

	"tidemark.dev/pkg/contract/subjects"

	"golang.org/x/sync/errgroup"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/services/scheduler"
)

// runScheduler gives the scheduler the bus.
func runScheduler(ctx context.Context, e *env) error {
	conn, err := e.connect(ctx, subjects.Scheduler)
	if err != nil {
		return err
	}
	defer conn.Close()
	specs, err := openJobs(ctx, e, conn)
	if err != nil {
		return err
	}
	states, err := bus.OpenBucket[scheduler.RunState](ctx, conn, e.site, subjects.BucketState, subjects.KeyJob)
	if err != nil {
		return err
	}
	s := scheduler.New(scheduler.Config{}, scheduler.Deps{
		Jobs: specs, Runs: runStates{e, states}, Marks: marks{conn}, Events: conn,
		Clock: machineClock{}, Trace: e.trace, Notify: func(err error) { e.warn(err) },
	})
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.Run(ctx) })
	g.Go(func() error {
		return conn.HandleCommands(ctx, subjects.Scheduler, map[string]bus.Handler{"job-run": s.RunJob, "job-stop": s.StopJob})
	})
	return g.Wait()
}

// runStates is scheduler.Runs.
type runStates struct {
	e *env
	b *bus.Bucket[scheduler.RunState]
}

var _ scheduler.Runs = runStates{}

func (r runStates) Get(ctx context.Context, name string) (scheduler.RunState, uint64, error) {
	x, err := r.b.Get(ctx, name)
	return x.Value, x.Revision, err
}

func (r runStates) Put(ctx context.Context, name string, s scheduler.RunState, revision uint64) error {
	_, err := put(ctx, r.b, name, s, revision)
	return err
}

func (r runStates) Watch(ctx context.Context, fn func(string, *scheduler.RunState) error) error {
	return watch(ctx, r.e, r.b, fn)
}

// put writes behind a revision, 0 for none.
func put[T any](ctx context.Context, b *bus.Bucket[T], key string, v T, revision uint64) (uint64, error) {
	if revision == 0 {
		return b.Create(ctx, key, v)
	}
	return b.Update(ctx, key, v, revision)
}

// marks is scheduler.Marks.
type marks struct{ conn *bus.Conn }

func (m marks) Mark(ctx context.Context, site cdp.Site, group cdp.GroupID) error {
	_, err := m.conn.Command(ctx, site, event.CaptureMark{Group: group})
	return err
}
