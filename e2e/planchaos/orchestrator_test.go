package planchaos

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/failoverrun"
	"tidemark.dev/pkg/core/health"
	"tidemark.dev/pkg/core/plan"
	"tidemark.dev/pkg/core/trigger"
	"tidemark.dev/services/failover"
	"tidemark.dev/services/orchestrator"
)

// conductor is one of the two orchestrators: its ports, and its name for kills.
type conductor struct {
	w    *world
	name string
	over func() *life // the failover service now; nil while it is down
}

// plans are orchestrator.Plans: the one plan.
type plans struct{ conductor }

func (p plans) Get(context.Context, string) (spec.Plan, uint64, error) { return p.w.plan, 1, nil }
func (p plans) Put(context.Context, string, spec.Plan, uint64) (uint64, error) {
	return 1, nil
}
func (p plans) Delete(context.Context, string, uint64) error { return nil }
func (p plans) List(context.Context) ([]spec.Plan, error)    { return []spec.Plan{p.w.plan}, nil }
func (p plans) Watch(ctx context.Context, fn func(string, *spec.Plan) error) error {
	if err := fn(p.w.plan.Name, &p.w.plan); err != nil {
		return err
	}
	<-ctx.Done()
	return ctx.Err()
}

// checks are orchestrator.Checks.
type checks struct{ conductor }

func (c checks) Get(_ context.Context, name string) (plan.Verification, uint64, error) {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	v, ok := c.w.checks[name]
	if !ok {
		return v, 0, cdp.Errorf(cdp.NotFound, "get", name, "none")
	}
	return v, 1, nil
}

func (c checks) Put(_ context.Context, v plan.Verification, _ uint64) error {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	c.w.checks[v.Plan] = v
	return nil
}

func (c checks) Forget(context.Context, string) error { return nil }

// runs are orchestrator.Runs.
type runs struct{ conductor }

func (r runs) Get(context.Context, string) (plan.Run, uint64, error) {
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	if r.w.run == nil {
		return plan.Run{}, 0, cdp.Errorf(cdp.NotFound, "get", "run", "none")
	}
	return *r.w.run, r.w.runRev, nil
}

func (r runs) Put(ctx context.Context, x plan.Run, rev uint64) (uint64, error) {
	conflict := false
	err := r.w.call(ctx, r.name, "put run", func() bool { return false }, func() {
		if conflict = rev != r.w.runRev; !conflict {
			r.w.run = &x
			r.w.runRev++
			rev++ // a doubled write conflicts, and has its effect
		}
	})
	if err == nil && conflict {
		err = cdp.Errorf(cdp.Conflict, "put", "run", "revision")
	}
	return rev, err
}

// Watch looks at the record again and again.
func (r runs) Watch(ctx context.Context, fn func(plan.Run) error) error {
	for seen := uint64(0); ; {
		x, rev, err := r.Get(ctx, "")
		if err == nil && rev != seen {
			seen = rev
			if err := fn(x); err != nil {
				return err
			}
		}
		if err := clock.Sleep(ctx, clock.System, time.Millisecond); err != nil {
			return err
		}
	}
}

func (r runs) Keep(context.Context, plan.Run) error { return nil }

func (r runs) Forget(context.Context, string) error { return nil }

// jobs are orchestrator.Jobs.
type jobs struct{ conductor }

func (j jobs) List(context.Context) (out []spec.ReplicationJob, err error) {
	for name := range j.w.groups {
		out = append(out, job(name))
	}
	slices.SortFunc(out, func(a, b spec.ReplicationJob) int { return cmp.Compare(a.Name, b.Name) })
	return out, nil
}

func (jobs) OnVMs(context.Context) ([]spec.VMJob, error) { return nil, nil }

func (j jobs) Running(_ context.Context, name string) (bool, error) {
	j.w.mu.Lock()
	defer j.w.mu.Unlock()
	return j.w.groups[name].running, nil
}

func (j jobs) SetRunning(ctx context.Context, name string, running bool) error {
	g := j.w.groups[name]
	return j.w.call(ctx, j.name, "set running", func() bool { return g.running == running }, func() { g.running = running })
}

// failovers are orchestrator.Failovers: the failover service, over the bus.
type failovers struct{ conductor }

func (f failovers) Run(ctx context.Context, job string) (*failoverrun.Run, error) {
	x, _, err := records{f.w}.Get(ctx, job)
	if cdp.Is(err, cdp.NotFound) {
		return nil, nil
	}
	return &x, err
}

// send delivers a command to the failover service that lives.
func (f failovers) send(deliver func(context.Context, *failover.Service) error) error {
	return f.w.again(func() error {
		if l := f.over(); l != nil {
			return deliver(l.ctx, l.service)
		}
		return lost("send command")
	})
}

func (f failovers) Start(ctx context.Context, r failoverrun.Request) error {
	err := f.send(func(ctx context.Context, s *failover.Service) error { return s.Start(ctx, r) })
	if cdp.Is(err, cdp.Duplicate) {
		err = nil
	}
	return err
}

func (f failovers) Check(ctx context.Context, job, run string) error {
	err := f.send(func(ctx context.Context, s *failover.Service) error {
		return s.Recheck(ctx, api.FailoverCheckRequest{Job: job, Run: run})
	})
	if cdp.Is(err, cdp.Duplicate) {
		err = nil
	}
	return err
}

func (f failovers) End(ctx context.Context, job string, e orchestrator.Ending) error {
	err := f.send(func(ctx context.Context, s *failover.Service) error { return s.Ask(ctx, job, e.Run, e.Goal) })
	if err != nil && !cdp.Is(err, cdp.Duplicate) {
		return err
	}
	for {
		x, _, err := records{f.w}.Get(ctx, job)
		switch {
		case err != nil || x.Goal == e.Goal && x.Over():
			return err
		case x.Phase == recovery.Failed:
			return cdp.Errorf(x.Kind, "end failover", job, "%s", x.Error)
		}
		if err := clock.Sleep(ctx, clock.System, time.Millisecond); err != nil {
			return lost("end failover")
		}
	}
}

// around is orchestrator.World, Outside, VMs, Triggers and Witnesses.
type around struct{ conductor }

func (around) RPO(context.Context, string) (time.Duration, error)    { return time.Second, nil }
func (around) Newest(context.Context, string) (time.Duration, error) { return time.Second, nil }
func (around) Reachable(context.Context, cdp.Site) error             { return nil }
func (around) Status(context.Context, string) (health.Group, error)  { return health.Group{}, nil }
func (around) Resolve(context.Context, api.ResolveRequest) error     { return nil }
func (around) Up(context.Context, cdp.Site, api.UpRequest) (bool, string, error) {
	return true, "", nil
}
func (around) Scripts() ([]string, error)                    { return []string{"move-dns"}, nil }
func (around) Post(context.Context, string, []byte) error    { return nil }
func (around) Get(context.Context, string) (int, error)      { return 200, nil }
func (around) Mail(context.Context, orchestrator.Mail) error { return nil }
func (around) Dial(context.Context, string) error            { return nil }

// Script counts; nobody may run it twice for one attempt.
func (a around) Script(ctx context.Context, file string, _, env []string) (string, error) {
	ran := false // a program is started by the service itself, so nothing doubles that
	return "moved", a.w.call(ctx, a.name, "script", func() bool { return ran }, func() {
		ran = true
		a.w.scripts[file+" "+strings.Join(env[len(env)-1:], "")]++
	})
}

type noTriggers struct{}

func (noTriggers) Get(context.Context, string, string) (trigger.State, uint64, error) {
	return trigger.State{}, 0, cdp.Errorf(cdp.NotFound, "get", "trigger", "none")
}
func (noTriggers) Put(context.Context, trigger.State, uint64) error { return nil }
func (noTriggers) Forget(context.Context, string) error             { return nil }

type noWitnesses struct{}

func (noWitnesses) Get(context.Context, string, cdp.Site) (api.WitnessReport, error) {
	return api.WitnessReport{}, cdp.Errorf(cdp.NotFound, "get", "report", "none")
}
func (noWitnesses) Put(context.Context, api.WitnessReport) error { return nil }

type noVMs struct{}

func (noVMs) Member(_ context.Context, job string) (inventory.Member, error) {
	return inventory.Member{}, cdp.Errorf(cdp.NotFound, "get", job, "none")
}
func (noVMs) Obstacles(context.Context, spec.VMJob) ([]inventory.Problem, error) { return nil, nil }
func (noVMs) Here(context.Context) (inventory.Inventory, int, error) {
	return inventory.Inventory{}, -1, nil
}
func (noVMs) SetPower(_ context.Context, r api.SetPowerRequest) (inventory.Power, error) {
	return "", cdp.Errorf(cdp.NotFound, "find VM", r.VM, "there is none")
}
