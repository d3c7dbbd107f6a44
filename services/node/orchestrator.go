package node

import (
	"context"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/contract/subjects"
	"tidemark.dev/pkg/core/failback"
	"tidemark.dev/pkg/core/failoverrun"
	"tidemark.dev/pkg/core/health"
	"tidemark.dev/pkg/core/plan"
	"tidemark.dev/pkg/core/trigger"
	"tidemark.dev/services/orchestrator"
)

// scriptDir is the folder, in the site's own directory, of the programs that plans
// may run.
const scriptDir = "scripts"

// runOrchestrator gives the orchestrator the bus.
func runOrchestrator(ctx context.Context, e *env) error {
	conn, err := e.connect(ctx, subjects.Orchestrator)
	if err != nil {
		return err
	}
	defer conn.Close()
	plans, err := bus.OpenBucket[spec.Plan](ctx, conn, e.site, subjects.BucketSpec, subjects.KeyPlan)
	if err != nil {
		return err
	}
	runs, err := bus.OpenBucket[plan.Run](ctx, conn, e.site, subjects.BucketState, subjects.KeyPlanRun)
	if err != nil {
		return err
	}
	log, err := bus.OpenBucket[plan.Run](ctx, conn, e.site, subjects.BucketState, subjects.KeyPlanLog)
	if err != nil {
		return err
	}
	checks, err := bus.OpenBucket[plan.Verification](ctx, conn, e.site, subjects.BucketState, subjects.KeyPlanCheck)
	if err != nil {
		return err
	}
	triggers, err := bus.OpenBucket[trigger.State](ctx, conn, e.site, subjects.BucketState, subjects.KeyTrigger)
	if err != nil {
		return err
	}
	witnesses, err := bus.OpenBucket[api.WitnessReport](ctx, conn, e.site, subjects.BucketState, subjects.KeyWitness)
	if err != nil {
		return err
	}
	members, err := bus.OpenBucket[inventory.Member](ctx, conn, e.site, subjects.BucketState, subjects.KeyVCenter)
	if err != nil {
		return err
	}
	lease, err := openLease(ctx, e, conn, subjects.Orchestrator)
	if err != nil {
		return err
	}
	cl := client.Over(conn, e.peers, e.clock)
	w, out := planWorld{cl, conn}, outside{e.path(scriptDir), e.path(mailFile)}
	s := orchestrator.New(orchestrator.Config{Site: e.site}, orchestrator.Deps{
		Plans: sitePlans{ownSpecs[spec.Plan]{plans}, e}, Checks: planChecks{checks}, Runs: planRuns{e, runs, log}, Triggers: planTriggers{triggers}, Witnesses: planWitnesses{witnesses}, Lease: lease, Jobs: planJobs{cl}, VMs: planVMs{cl, conn, members}, Failovers: planFailovers{cl, conn}, Returns: planReturns{cl, conn},
		World: w, Outside: out, Guests: planGuests{out, conn}, Events: conn, Clock: e.clock, Tracer: planTracer{tracer{e.tel}}, Notify: func(err error) { e.warn(err) },
	})
	defer e.metrics.Plans(e.site, func(ctx context.Context) (last, before []plan.Run, err error) {
		if last, err = allOf(ctx, runs); err == nil {
			before, err = allOf(ctx, log)
		}
		return last, before, err
	})()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.Run(ctx) })
	g.Go(func() error { return conn.Serve(ctx, subjects.Orchestrator, s.Endpoints()) })
	g.Go(func() error {
		return conn.HandleCommands(ctx, subjects.Orchestrator, map[string]bus.Handler{
			"plan-apply": s.HandleApply, "plan-delete": s.HandleDelete, "run": s.HandleRun, "control": s.HandleControl, "trigger": s.HandleTrigger,
		})
	})
	return g.Wait()
}

// sitePlans is orchestrator.Plans.
type sitePlans struct {
	ownSpecs[spec.Plan]
	e *env
}

func (p sitePlans) List(ctx context.Context) ([]spec.Plan, error) { return allOf(ctx, p.b) }

func (p sitePlans) Watch(ctx context.Context, fn func(string, *spec.Plan) error) error {
	return watch(ctx, p.e, p.b, fn)
}

// planRuns is orchestrator.Runs.
type planRuns struct {
	e    *env
	last *bus.Bucket[plan.Run]
	log  *bus.Bucket[plan.Run]
}

func (r planRuns) Get(ctx context.Context, name string) (plan.Run, uint64, error) {
	x, err := r.last.Get(ctx, name)
	return x.Value, x.Revision, err
}

func (r planRuns) Put(ctx context.Context, run plan.Run, revision uint64) (uint64, error) {
	return put(ctx, r.last, run.Plan, run, revision)
}

func (r planRuns) Watch(ctx context.Context, fn func(plan.Run) error) error {
	return watch(ctx, r.e, r.last, func(_ string, run *plan.Run) error {
		if run == nil {
			return nil
		}
		return fn(*run)
	})
}

// keptRuns is how many runs of a plan are kept beside its last one.
const keptRuns = 50

func (r planRuns) Keep(ctx context.Context, run plan.Run) error {
	if _, err := r.log.Put(ctx, run.Plan+"."+run.ID, run); err != nil {
		return err
	}
	old, err := r.of(ctx, run.Plan)
	for len(old) > keptRuns && err == nil {
		err = r.log.Delete(ctx, old[0].Key, 0)
		old = old[1:]
	}
	return err
}

// of are the kept runs of a plan, oldest first.
func (r planRuns) of(ctx context.Context, name string) ([]bus.Entry[plan.Run], error) {
	all, err := r.log.All(ctx)
	all = slices.DeleteFunc(all, func(x bus.Entry[plan.Run]) bool { return x.Value.Plan != name })
	slices.SortStableFunc(all, func(a, b bus.Entry[plan.Run]) int { return a.Value.StartedAt.Compare(b.Value.StartedAt) })
	return all, err
}

func (r planRuns) Forget(ctx context.Context, name string) error {
	old, err := r.of(ctx, name)
	for _, x := range old {
		if err == nil {
			err = r.log.Delete(ctx, x.Key, 0)
		}
	}
	if err == nil {
		err = r.last.Delete(ctx, name, 0)
	}
	return err
}

// planChecks is orchestrator.Checks.
type planChecks struct {
	b *bus.Bucket[plan.Verification]
}

func (p planChecks) Get(ctx context.Context, name string) (plan.Verification, uint64, error) {
	x, err := p.b.Get(ctx, name)
	return x.Value, x.Revision, err
}

func (p planChecks) Put(ctx context.Context, v plan.Verification, revision uint64) error {
	_, err := put(ctx, p.b, v.Plan, v, revision)
	return err
}

func (p planChecks) Forget(ctx context.Context, name string) error { return p.b.Delete(ctx, name, 0) }

// planJobs is orchestrator.Jobs.
type planJobs struct{ c *client.Client }

func (j planJobs) List(ctx context.Context) ([]spec.ReplicationJob, error) { return j.c.Jobs(ctx) }

func (j planJobs) OnVMs(ctx context.Context) ([]spec.VMJob, error) { return j.c.VMJobs(ctx) }

func (j planJobs) Running(ctx context.Context, job string) (bool, error) {
	return j.c.Running(ctx, job)
}

func (j planJobs) SetRunning(ctx context.Context, job string, running bool) error {
	return j.c.SetRunning(ctx, job, running, true)
}

// planFailovers is orchestrator.Failovers.
type planFailovers struct {
	c    *client.Client
	conn *bus.Conn
}

func (f planFailovers) Run(ctx context.Context, job string) (*failoverrun.Run, error) {
	return f.c.Failover(ctx, cdp.GroupID(job))
}

func (f planFailovers) Start(ctx context.Context, r failoverrun.Request) error {
	return f.conn.Request(ctx, f.conn.Site(), subjects.Failover, api.FailoverStart, r, nil)
}

func (f planFailovers) Check(ctx context.Context, job, run string) error {
	_, err := f.c.CheckFailover(ctx, job, run)
	if cdp.Is(err, cdp.Duplicate) {
		return nil
	}
	return err
}

func (f planFailovers) End(ctx context.Context, job string, e orchestrator.Ending) error {
	asked, err := f.c.EndFailover(ctx, job, client.Ending{Goal: e.Goal, Run: e.Run, Force: e.Force, Verdict: e.Verdict, Note: e.Note, By: e.By})
	if cdp.Is(err, cdp.Duplicate) {
		return nil
	}
	if err != nil {
		return err
	}
	x, err := f.c.FollowFailover(ctx, asked, false, func(failoverrun.Run) {})
	if err == nil && x.Phase == recovery.Failed {
		err = cdp.Errorf(x.Kind, string(e.Goal)+" failover", job, "%s", x.Error).WithHint(x.Hint)
	}
	return err
}

// planReturns is orchestrator.Returns.
type planReturns struct {
	c    *client.Client
	conn *bus.Conn
}

func (r planReturns) InForce(ctx context.Context, job string) (failback.Seen, error) {
	seen, err := r.c.InForce(ctx, job)
	if err != nil || seen.Job.Target.Site != r.conn.Site() || seen.Moved() {
		return seen, err
	}
	g, err := r.c.GroupStatus(ctx, seen.Job.Name)
	seen.Protected = g.State == health.Protected
	return seen, err
}

func (r planReturns) Copied(ctx context.Context, job string) (compared, sent int64, err error) {
	g, err := r.c.GroupStatus(ctx, job)
	compared, sent = g.Copied()
	return compared, sent, err
}

func (r planReturns) Reprotect(ctx context.Context, q api.ReprotectRequest) (out api.ReprotectReply, err error) {
	err = r.conn.Request(ctx, r.conn.Site(), subjects.Scheduler, api.JobReprotect, q, &out)
	if err == nil {
		err = api.ApplyReply{Kind: spec.KindJob, Name: out.Job.Name, Problems: out.Problems}.Err()
	}
	return out, err
}

// planWorld is orchestrator.World.
type planWorld struct {
	c    *client.Client
	conn *bus.Conn
}

func (w planWorld) RPO(ctx context.Context, job string) (time.Duration, error) {
	g, err := w.c.GroupStatus(ctx, job)
	if err == nil && g.RPOSeconds == nil {
		err = cdp.Errorf(cdp.NotFound, "find RPO", job, "it is not known")
	}
	if err != nil {
		return 0, err
	}
	return time.Duration(*g.RPOSeconds * float64(time.Second)), nil
}

func (w planWorld) Status(ctx context.Context, job string) (health.Group, error) {
	return w.c.GroupStatus(ctx, job)
}

func (w planWorld) Newest(ctx context.Context, job string) (time.Duration, error) {
	g, err := w.c.Journal().Status(ctx, cdp.GroupID(job))
	if err == nil && g.Newest == nil {
		err = cdp.Errorf(cdp.NotFound, "find recovery point", job, "there is none")
	}
	if err != nil {
		return 0, err
	}
	at := g.Newest.Time
	if g.Newest.Bound == 0 { // it was made before the clocks were measured
		at = at.Add(g.ClockOffset)
	}
	return w.c.Now().Sub(at), nil
}

// siteAnswers is how long a site may take to answer before it is taken for gone.
const siteAnswers = 3 * time.Second

func (w planWorld) Reachable(ctx context.Context, site cdp.Site) error {
	if err := w.c.CheckSiteName(site); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, siteAnswers)
	defer cancel()
	err := w.conn.Request(ctx, site, subjects.Capture, api.CaptureSpool, api.Empty{}, nil)
	if err != nil && ctx.Err() != nil { // it is silent
		err = &cdp.Error{Op: "look for site", Kind: cdp.Transient, Subject: string(site), Cause: err}
	}
	return err
}

func (w planWorld) Up(ctx context.Context, site cdp.Site, r api.UpRequest) (bool, string, error) {
	var x api.UpReply
	err := w.c.CheckSiteName(site)
	if err == nil {
		err = w.conn.Request(ctx, site, subjects.VCenter, api.VCenterUp, r, &x)
	}
	return x.Up, x.Text, err
}

func (w planWorld) Resolve(ctx context.Context, r api.ResolveRequest) error {
	_, err := w.c.Journal().Resolve(ctx, r)
	return err
}

var (
	_ orchestrator.Plans     = sitePlans{}
	_ orchestrator.Checks    = planChecks{}
	_ orchestrator.Runs      = planRuns{}
	_ orchestrator.Jobs      = planJobs{}
	_ orchestrator.Failovers = planFailovers{}
	_ orchestrator.World     = planWorld{}
	_ orchestrator.Outside   = outside{}
	_ orchestrator.Lease     = lease{}
)
