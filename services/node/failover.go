package node

import (
	"cmp"
	"context"

	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/subjects"

	"golang.org/x/sync/errgroup"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/core/failoverrun"
	"tidemark.dev/services/failover"
)

// runFailover gives the failover service the bus.
func runFailover(ctx context.Context, e *env) error {
	conn, err := e.connect(ctx, subjects.Failover)
	if err != nil {
		return err
	}
	defer conn.Close()
	specs, err := openJobs(ctx, e, conn)
	if err != nil {
		return err
	}
	records, err := bus.OpenBucket[failoverrun.Run](ctx, conn, e.site, subjects.BucketState, subjects.KeyFailover)
	if err != nil {
		return err
	}
	agreed, err := openApprovals(ctx, e, conn)
	if err != nil {
		return err
	}
	lease, err := openLease(ctx, e, conn, subjects.Failover)
	if err != nil {
		return err
	}
	me, unlock := steadyHolder(e.dir, subjects.Failover)
	defer unlock()
	lease.me = cmp.Or(me, lease.me)
	j := client.NewJournal(conn, e.site)
	s := failover.New(failover.Config{}, failover.Deps{
		Jobs: pinnedJobs{specs}, Records: runRecords{e, records}, Lease: lease, Journal: j, Exports: j, Replica: j, VMs: vmsAPI{conn, e.site}, Source: sourceAPI{conn},
		Events: conn, Approvals: agreed, Clock: clock.System, Tracer: failoverTracer{tracer{e.tel}}, Notify: func(err error) { e.warn(err) },
	})
	defer e.metrics.Failovers(e.site, func(ctx context.Context) ([]failoverrun.Run, error) { return allOf(ctx, records) })()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.Run(ctx) })
	g.Go(func() error {
		return conn.HandleCommands(ctx, subjects.Failover, map[string]bus.Handler{
			"start": s.HandleStart, "cleanup": s.HandleCleanup, "undo": s.HandleUndo, "commit": s.HandleCommit,
		})
	})
	g.Go(func() error {
		return conn.Serve(ctx, subjects.Failover, map[string]api.Endpoint{
			api.FailoverStart: once(s.Start), api.FailoverUnfence: once(s.Unfence), api.FailoverPolicy: once(s.SetPolicy),
			api.FailoverCheck: once(s.Recheck),
		})
	})
	return g.Wait()
}

// once is an endpoint of what does nothing the second time, and then says so.
func once[T any](do func(context.Context, T) error) api.Endpoint {
	return api.Answer(func(ctx context.Context, r T) (any, error) {
		err := do(ctx, r)
		if cdp.Is(err, cdp.Duplicate) {
			err = nil
		}
		return api.Empty{}, err
	})
}

// pinnedJobs is failover.Jobs.
type pinnedJobs struct{ jobs }

var _ failover.Jobs = pinnedJobs{}

func (j pinnedJobs) Get(ctx context.Context, name string) (failoverrun.Pinned, error) {
	x, err := j.b.Get(ctx, name)
	return failoverrun.Pinned{Revision: x.Revision, Spec: x.Value}, err
}

// runRecords is failover.Records.
type runRecords struct {
	e *env
	b *bus.Bucket[failoverrun.Run]
}

var (
	_ failover.Records = runRecords{}
	_ failover.Lease   = lease{}
)

func (r runRecords) Get(ctx context.Context, job string) (failoverrun.Run, uint64, error) {
	x, err := r.b.Get(ctx, job)
	return x.Value, x.Revision, err
}

func (r runRecords) Put(ctx context.Context, job string, s failoverrun.Run, revision uint64) (uint64, error) {
	return put(ctx, r.b, job, s, revision)
}

func (r runRecords) Watch(ctx context.Context, fn func(string)) error {
	return watch(ctx, r.e, r.b, func(job string, run *failoverrun.Run) error {
		if run != nil {
			fn(job)
		}
		return nil
	})
}

// sourceAPI is failover.Source.
type sourceAPI struct{ conn *bus.Conn }

func (s sourceAPI) Status(ctx context.Context, site cdp.Site, g cdp.GroupID) (api.CaptureGroup, error) {
	return client.CaptureStatus(ctx, s.conn, site, s.conn.Site(), g)
}

func (s sourceAPI) Drain(ctx context.Context, site cdp.Site, r api.DrainRequest) (out api.DrainReply, err error) {
	r.Target = s.conn.Site()
	return out, s.conn.Request(ctx, site, subjects.Capture, api.CaptureDrain, r, &out)
}

func (s sourceAPI) Fence(ctx context.Context, site cdp.Site, r api.FenceRequest) (out api.Progress, err error) {
	r.Target = s.conn.Site()
	return out, s.conn.Request(ctx, site, subjects.VCenter, api.VMFence, r, &out)
}

// vmsAPI is failover.VMs: the vcenter service of this site.
type vmsAPI struct {
	conn *bus.Conn
	site cdp.Site
}

var _ failover.VMs = vmsAPI{}

func (v vmsAPI) Do(ctx context.Context, step string, r api.VMRunRequest) (out api.VMRunReply, err error) {
	return out, v.conn.Request(ctx, v.site, subjects.VCenter, step, r, &out)
}
