package node

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/contract/subjects"
	"tidemark.dev/pkg/core/failoverrun"
	"tidemark.dev/pkg/core/jobrules"
	"tidemark.dev/services/scheduler"
)

// runScheduler connects the scheduler to the bus.
func runScheduler(ctx context.Context, e *env) error {
	conn, err := e.connect(ctx, subjects.Scheduler)
	if err != nil {
		return err
	}
	defer conn.Close()
	own, err := openJobs(ctx, e, conn)
	if err != nil {
		return err
	}
	vmJobs, err := bus.OpenBucket[spec.VMJob](ctx, conn, e.site, subjects.BucketSpec, subjects.KeyVMJob)
	if err != nil {
		return err
	}
	states, err := bus.OpenBucket[api.RunState](ctx, conn, e.site, subjects.BucketState, subjects.KeyJob)
	if err != nil {
		return err
	}
	records, err := bus.OpenBucket[failoverrun.Run](ctx, conn, e.site, subjects.BucketState, subjects.KeyFailover)
	if err != nil {
		return err
	}
	linked, err := openLinked(ctx, e, conn)
	if err != nil {
		return err
	}
	agreed, err := openApprovals(ctx, e, conn)
	if err != nil {
		return err
	}
	all := newJobList(own.b, e.site)
	s := scheduler.New(scheduler.Config{Here: jobrules.Here{Site: e.site, Links: e.peers}}, scheduler.Deps{
		Jobs: scheduledJobs{ownSpecs[spec.ReplicationJob]{own.b}, own, all}, VMJobs: ownSpecs[spec.VMJob]{vmJobs},
		Runs: runStates{e, states}, Bad: badEntries{e, own.b, vmJobs, states}, Failovers: failovers{records}, Linked: linked, Approvals: agreed, Journal: pointCounts{conn, e.site}, Disks: jobDisks{conn, e.clock}, VMs: jobVMs{conn, e.site},
		Marks: marks{conn}, Sources: sources{conn}, Events: conn, Clock: e.clock, Trace: cycleTrace(e.tel), Notify: func(err error) { e.warn(err) },
	})
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return all.run(ctx, e) })
	g.Go(func() error { return s.Run(ctx) })
	g.Go(func() error { return conn.Serve(ctx, subjects.Scheduler, s.Endpoints()) })
	g.Go(func() error {
		return conn.HandleCommands(ctx, subjects.Scheduler, map[string]bus.Handler{
			"job-apply": s.ApplyJob, "job-delete": s.DeleteJob, "job-run": s.RunJob, "job-stop": s.StopJob,
		})
	})
	return g.Wait()
}

// ownSpecs are the specs of one kind that are stored here. It is
// scheduler.Specs, and vcenter.SiteSpecs.
type ownSpecs[T any] struct{ b *bus.Bucket[T] }

func (s ownSpecs[T]) Get(ctx context.Context, name string) (T, uint64, error) {
	x, err := s.b.Get(ctx, name)
	return x.Value, x.Revision, err
}

func (s ownSpecs[T]) Put(ctx context.Context, name string, v T, revision uint64) (uint64, error) {
	return put(ctx, s.b, name, v, revision)
}

func (s ownSpecs[T]) Delete(ctx context.Context, name string, revision uint64) error {
	return s.b.Delete(ctx, name, revision)
}

// scheduledJobs is scheduler.Jobs.
type scheduledJobs struct {
	ownSpecs[spec.ReplicationJob]
	jobs jobs
	all  *jobList
}

func (j scheduledJobs) Put(ctx context.Context, name string, v spec.ReplicationJob, revision uint64) (uint64, error) {
	rev, err := j.ownSpecs.Put(ctx, name, v, revision)
	if err == nil {
		j.all.note(name, rev, &v)
	}
	return rev, err
}

func (j scheduledJobs) Delete(ctx context.Context, name string, revision uint64) error {
	err := j.ownSpecs.Delete(ctx, name, revision)
	if err == nil {
		j.all.note(name, revision, nil)
	}
	return err
}

func (j scheduledJobs) Watch(ctx context.Context, fn func(string, *spec.ReplicationJob) error) error {
	return j.jobs.Watch(ctx, fn)
}

func (j scheduledJobs) List(ctx context.Context) ([]spec.ReplicationJob, error) {
	return j.all.list(ctx)
}

// listJobs has the jobs of a bucket whose target is a site.
func listJobs(ctx context.Context, b *bus.Bucket[spec.ReplicationJob], target cdp.Site) ([]spec.ReplicationJob, error) {
	all, err := b.All(ctx)
	var out []spec.ReplicationJob
	for _, j := range readable(all) {
		if j.Target.Site == target {
			out = append(out, j)
		}
	}
	return out, err
}

// failovers is scheduler.Failovers.
type failovers struct{ b *bus.Bucket[failoverrun.Run] }

func (f failovers) Run(ctx context.Context, group string) (*failoverrun.Run, error) {
	x, err := f.b.Get(ctx, group)
	if cdp.Is(err, cdp.NotFound) {
		return nil, nil
	}
	return &x.Value, err
}

// pointCounts is scheduler.Journal.
type pointCounts struct {
	conn *bus.Conn
	site cdp.Site
}

func (p pointCounts) Points(ctx context.Context, group cdp.GroupID) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, client.Slow)
	defer cancel()
	var r api.StatusReply
	err := p.conn.Request(ctx, p.site, subjects.Journal, api.JournalStatus, api.GroupRequest{}, &r)
	n := 0
	for _, g := range r.Groups {
		if g.Group == group {
			n += g.Points
		}
	}
	return n, err
}

func (p pointCounts) Exports(ctx context.Context, group cdp.GroupID) ([]api.Export, error) {
	ctx, cancel := context.WithTimeout(ctx, client.Slow)
	defer cancel()
	r, err := client.NewJournal(p.conn, p.site).ListExports(ctx, group)
	return r.Exports, err
}

func (p pointCounts) Lock(ctx context.Context, group cdp.GroupID) (*api.RetentionLock, error) {
	ctx, cancel := context.WithTimeout(ctx, client.Slow)
	defer cancel()
	st, err := client.NewJournal(p.conn, p.site).Status(ctx, group)
	if cdp.Is(err, cdp.NotFound) {
		return nil, nil
	}
	return st.Lock, err
}

func (p pointCounts) Gone(ctx context.Context, group cdp.GroupID) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, client.Slow)
	defer cancel()
	_, err := client.NewJournal(p.conn, p.site).Status(ctx, group)
	if cdp.Is(err, cdp.NotFound) {
		return true, nil
	}
	return false, err
}

// jobVMs is scheduler.VMs.
type jobVMs struct {
	conn *bus.Conn
	site cdp.Site
}

// checkTime is how long a vCenter may take to check a job, and stateTime how long
// the vcenter service may take to report one.
const (
	checkTime = 30 * time.Second
	stateTime = 5 * time.Second
)

func (v jobVMs) ask(ctx context.Context, limit time.Duration, endpoint string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return v.conn.Request(ctx, v.site, subjects.VCenter, endpoint, in, out)
}

func (v jobVMs) Check(ctx context.Context, job spec.VMJob) (out api.JobCheckReply, err error) {
	return out, v.ask(ctx, checkTime, api.VMJobCheck, api.VMJobCheckRequest{Job: job}, &out)
}

func (v jobVMs) State(ctx context.Context, job string) (api.VMJobState, error) {
	var r api.VMJobsReply
	if err := v.ask(ctx, stateTime, api.VMJobStatus, api.VMJobName{Job: job}, &r); err != nil {
		return api.VMJobState{}, err
	}
	for _, s := range r.Jobs {
		if s.Job == job {
			return s, nil
		}
	}
	return api.VMJobState{}, cdp.Errorf(cdp.NotFound, "ask vcenter", job, "it has no such job")
}

func (v jobVMs) Reverse(ctx context.Context, r api.VMReverseRequest) (out api.VMReverseReply, err error) {
	return out, v.ask(ctx, checkTime, api.VMJobReverse, r, &out)
}

func (v jobVMs) Start(ctx context.Context, job string) error {
	return v.ask(ctx, stateTime, api.VMJobRun, api.VMJobName{Job: job}, nil)
}

func (v jobVMs) Delete(ctx context.Context, r api.VMJobDeleteRequest) (out api.Progress, err error) {
	return out, v.ask(ctx, checkTime, api.VMJobDelete, r, &out)
}

// runStates is scheduler.Runs.
type runStates struct {
	e *env
	b *bus.Bucket[api.RunState]
}

var _ scheduler.Runs = runStates{}

func (r runStates) Get(ctx context.Context, name string) (api.RunState, uint64, error) {
	x, err := r.b.Get(ctx, name)
	return x.Value, x.Revision, err
}

func (r runStates) Put(ctx context.Context, name string, s api.RunState, revision uint64) error {
	_, err := put(ctx, r.b, name, s, revision)
	return err
}

func (r runStates) Watch(ctx context.Context, fn func(string, *api.RunState) error) error {
	return watch(ctx, r.e, r.b, fn)
}

// put writes over a revision, 0 for none.
func put[T any](ctx context.Context, b *bus.Bucket[T], key string, v T, revision uint64) (uint64, error) {
	if revision == 0 {
		return b.Create(ctx, key, v)
	}
	return b.Update(ctx, key, v, revision)
}

var (
	_ scheduler.Jobs              = scheduledJobs{}
	_ scheduler.Specs[spec.VMJob] = ownSpecs[spec.VMJob]{}
	_ scheduler.Failovers         = failovers{}
	_ scheduler.Journal           = pointCounts{}
	_ scheduler.VMs               = jobVMs{}
)

// marks is scheduler.Marks.
type marks struct{ conn *bus.Conn }

func (m marks) Mark(ctx context.Context, site cdp.Site, marks []api.Mark) error {
	return m.conn.Request(ctx, site, subjects.Capture, api.CaptureMarks, api.MarksRequest{Marks: marks}, nil)
}

// sources is scheduler.Sources.
type sources struct{ conn *bus.Conn }

func (s sources) Spool(ctx context.Context, site cdp.Site) (use api.SpoolUse, err error) {
	return use, s.conn.Request(ctx, site, subjects.Capture, api.CaptureSpool, api.Empty{}, &use)
}

func (s sources) Group(ctx context.Context, site cdp.Site, group cdp.GroupID) (*api.CaptureGroup, error) {
	ctx, cancel := context.WithTimeout(ctx, client.Slow)
	defer cancel()
	var r api.CaptureStatusReply
	err := s.conn.Request(ctx, site, subjects.Capture, api.CaptureStatus, api.GroupRequest{Group: group}, &r)
	if err != nil || len(r.Groups) == 0 {
		return nil, err
	}
	return &r.Groups[0], nil
}
