package node

import (
	"context"

	"golang.org/x/sync/errgroup"

	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/subjects"
	"tidemark.dev/pkg/core/rpo"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/services/rpomonitor"
)

// runRPOMonitor gives the monitor the bus.
func runRPOMonitor(ctx context.Context, e *env) error {
	conn, err := e.connect(ctx, subjects.RPOMonitor)
	if err != nil {
		return err
	}
	defer conn.Close()
	specs, err := openJobs(ctx, e, conn)
	if err != nil {
		return err
	}
	states, err := bus.OpenBucket[api.RunState](ctx, conn, e.site, subjects.BucketState, subjects.KeyJob)
	if err != nil {
		return err
	}
	records, err := bus.OpenBucket[rpo.Record](ctx, conn, e.site, subjects.BucketState, subjects.KeyRPO)
	if err != nil {
		return err
	}
	rounds, err := bus.OpenBucket[rpo.Round](ctx, conn, e.site, subjects.BucketState, subjects.KeyRPORound)
	if err != nil {
		return err
	}
	own := rpoRecords{e.site, records, rounds}
	defer e.metrics.RPO(e.site, own.all)()
	s := rpomonitor.New(rpomonitor.Config{}, rpomonitor.Deps{
		Jobs: specs, Runs: running{runStates{e, states}}, Journal: newestPoints{conn}, Points: points{conn},
		Records: own, Events: conn, Clock: clock.System, Notify: func(err error) { e.log.Debug(err.Error()) },
	})
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.Run(ctx) })
	// It has no endpoints, and can be pinged.
	g.Go(func() error { return conn.Serve(ctx, subjects.RPOMonitor, nil) })
	return g.Wait()
}

// running is rpomonitor.Runs.
type running struct{ states runStates }

func (r running) Watch(ctx context.Context, fn func(string, bool) error) error {
	return r.states.Watch(ctx, func(name string, s *api.RunState) error {
		return fn(name, s.Running())
	})
}

// newestPoints is rpomonitor.Journal.
type newestPoints struct{ conn *bus.Conn }

func (n newestPoints) Newest(ctx context.Context) ([]api.GroupNewest, error) {
	var r api.NewestReply
	err := n.conn.Request(ctx, n.conn.Site(), subjects.Journal, api.JournalNewest, api.Empty{}, &r)
	return r.Groups, err
}

// points is rpomonitor.Points.
type points struct{ conn *bus.Conn }

func (p points) Watch(ctx context.Context, fn func(cdp.GroupID, cdp.Point, bool) error) error {
	f := bus.EventFilter{Site: p.conn.Site(), Area: "journal", Newest: true}
	return p.conn.WatchEvents(ctx, f, func(_ context.Context, e bus.SeenEvent) error {
		var created event.PointCreated
		var changed event.PointChanged
		switch {
		case e.Type == created.EventType() && e.Into(&created) == nil:
			return fn(created.Group, created.Point, false)
		case e.Type == changed.EventType() && e.Into(&changed) == nil && changed.Change == event.PointDeleted:
			return fn(changed.Group, changed.Point, true)
		}
		return nil
	})
}

// rpoRecords is rpomonitor.Records.
type rpoRecords struct {
	site   cdp.Site
	b      *bus.Bucket[rpo.Record]
	rounds *bus.Bucket[rpo.Round]
}

func (r rpoRecords) Get(ctx context.Context, job string) (rpo.Record, error) {
	x, err := r.b.Get(ctx, job)
	return x.Value, err
}

func (r rpoRecords) Put(ctx context.Context, job string, v rpo.Record) error {
	_, err := r.b.Put(ctx, job, v)
	return err
}

func (r rpoRecords) Delete(ctx context.Context, job string) error { return r.b.Delete(ctx, job, 0) }

func (r rpoRecords) PutRound(ctx context.Context, v rpo.Round) error {
	_, err := r.rounds.Put(ctx, string(r.site), v)
	return err
}

// all are the records as the newest round left them. The round is read first: it says
// nothing about records that are newer.
func (r rpoRecords) all(ctx context.Context) (map[string]rpo.Record, error) {
	round, err := r.rounds.Get(ctx, string(r.site))
	if err != nil && !cdp.Is(err, cdp.NotFound) {
		return nil, err
	}
	entries, err := r.b.All(ctx)
	out := map[string]rpo.Record{}
	for _, e := range entries {
		if !e.Lost {
			out[e.Key] = e.Value.In(e.Key, round.Value)
		}
	}
	return out, err
}
