package orchestrator_test

import (
	"context"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/failoverrun"
	"tidemark.dev/pkg/core/plan"
	"tidemark.dev/pkg/core/trigger"
	"tidemark.dev/services/orchestrator"
)

// world is everything around the service, in memory: all its ports. It counts what
// really changed, and kills the service at one of its calls.
type world struct {
	mu        sync.Mutex
	plans     map[string]spec.Plan
	checks    map[string]plan.Verification
	checkRevs map[string]uint64
	verifies  bool     // plans are checked
	scripts   []string // in the script directory
	listed    []spec.ReplicationJob
	onVMs     []spec.VMJob
	vms       orchestrator.VMs
	run       *plan.Run
	rev       uint64
	kept      map[string]plan.Run
	changed   chan struct{} // closed and replaced at each change of the run
	running   map[string]bool
	failovers map[string]*failoverrun.Run
	mended    bool                   // the next check of a failover's VM passes
	looked    func(*failoverrun.Run) // called when a failover is looked at
	held      chan struct{}          // the lease
	effects   map[string]int
	events    []event.Payload
	endings   []orchestrator.Ending
	returns   orchestrator.Returns
	runs      orchestrator.Runs // nil: those of the plan shop
	hook      func(what string) // called at each call, before and after its effect
	states    map[string]trigger.State
	stateRevs map[string]uint64
	reports   map[string]api.WitnessReport
	gone      map[cdp.Site]bool // what does not answer over the link
	rpo       time.Duration
	down      map[string]error // machines that are down: nil, or why that is not known
	now       *clock.Simulated // nil: the system's clock
}

func newWorld() *world {
	return &world{plans: map[string]spec.Plan{}, checks: map[string]plan.Verification{}, checkRevs: map[string]uint64{}, kept: map[string]plan.Run{}, changed: make(chan struct{}), running: map[string]bool{"db": true, "web": true},
		failovers: map[string]*failoverrun.Run{}, held: make(chan struct{}, 1), effects: map[string]int{},
		states: map[string]trigger.State{}, stateRevs: map[string]uint64{}, reports: map[string]api.WitnessReport{}, gone: map[cdp.Site]bool{"prod": true}, rpo: time.Second, scripts: []string{"move-dns"},
		listed: []spec.ReplicationJob{{Name: "db"}, {Name: "web"}}, vms: noVMs{}}
}

// service is a service in this world, with Plans, Runs and so on as ports.
func (w *world) service() *orchestrator.Service {
	cfg := orchestrator.Config{Site: "dr", LookEvery: look, PollEvery: time.Millisecond, RetryMin: time.Millisecond, RetryMax: 10 * time.Millisecond, Margin: 20 * time.Second}
	deps := orchestrator.Deps{Plans: plans{w}, Checks: checks{w}, Runs: runs{w}, Triggers: triggers{w}, Witnesses: witnesses{w}, Lease: w, Jobs: jobs{w}, VMs: w.vms, Failovers: failovers{w}, World: around{w}, Outside: outside{w}, Guests: insides{w}, Events: w, Clock: clock.System}
	if w.now != nil {
		deps.Clock = w.now
	}
	if deps.Returns = w.returns; w.runs != nil {
		deps.Runs = w.runs
	}
	return orchestrator.New(cfg, deps)
}

// at is called before and after each effect.
func (w *world) at(what string) {
	w.mu.Lock()
	hook := w.hook
	w.mu.Unlock()
	if hook != nil {
		hook(what)
	}
}

// effect makes a change once it is due, and counts it.
func (w *world) effect(ctx context.Context, name string, so bool, change func()) error {
	w.at("before " + name)
	if ctx.Err() != nil {
		return cdp.Errorf(cdp.Transient, name, "", "killed")
	}
	w.mu.Lock()
	if !so {
		w.effects[name]++
		change()
	}
	w.mu.Unlock()
	w.at("after " + name)
	if ctx.Err() != nil { // it is done, and nobody hears of it
		return cdp.Errorf(cdp.Transient, name, "", "killed")
	}
	return nil
}

func (w *world) last() plan.Run {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.run == nil {
		return plan.Run{}
	}
	return *w.run
}

// Hold is the lease: one at a time.
func (w *world) Hold(ctx context.Context, fn func(context.Context) error) error {
	select {
	case w.held <- struct{}{}:
		defer func() { <-w.held }()
		return fn(ctx)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *world) Emit(_ context.Context, p event.Payload) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, p)
	return nil
}

type plans struct{ w *world }

func (p plans) Get(_ context.Context, name string) (spec.Plan, uint64, error) {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	x, ok := p.w.plans[name]
	if !ok {
		return x, 0, cdp.Errorf(cdp.NotFound, "get", name, "none")
	}
	return x, 1, nil
}

func (p plans) Put(_ context.Context, name string, x spec.Plan, _ uint64) (uint64, error) {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	p.w.plans[name] = x
	return 1, nil
}

func (p plans) Delete(_ context.Context, name string, _ uint64) error {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	delete(p.w.plans, name)
	return nil
}

// List is what is checked again and again.
func (p plans) List(context.Context) ([]spec.Plan, error) {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	if !p.w.verifies {
		return nil, nil
	}
	return slices.Collect(maps.Values(p.w.plans)), nil
}

// Watch knows the plans that are there when it begins.
func (p plans) Watch(ctx context.Context, fn func(string, *spec.Plan) error) error {
	p.w.mu.Lock()
	all := maps.Clone(p.w.plans)
	p.w.mu.Unlock()
	for name, x := range all {
		if err := fn(name, &x); err != nil {
			return err
		}
	}
	<-ctx.Done()
	return ctx.Err()
}

// runs is the record of the one plan shop.
type runs struct{ w *world }

func (r runs) Get(context.Context, string) (plan.Run, uint64, error) {
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	if r.w.run == nil {
		return plan.Run{}, 0, cdp.Errorf(cdp.NotFound, "get", "run", "none")
	}
	return *r.w.run, r.w.rev, nil
}

func (r runs) Put(ctx context.Context, x plan.Run, rev uint64) (uint64, error) {
	r.w.at("before put")
	if ctx.Err() != nil {
		return 0, cdp.Errorf(cdp.Transient, "put", "", "killed")
	}
	r.w.mu.Lock()
	if rev != r.w.rev {
		r.w.mu.Unlock()
		return 0, cdp.Errorf(cdp.Conflict, "put", "run", "revision %d is not %d", rev, r.w.rev)
	}
	r.w.run, r.w.rev = &x, r.w.rev+1
	rev = r.w.rev
	close(r.w.changed)
	r.w.changed = make(chan struct{})
	r.w.mu.Unlock()
	r.w.at("after put")
	return rev, nil
}

func (r runs) Watch(ctx context.Context, fn func(plan.Run) error) error {
	for {
		r.w.mu.Lock()
		x, changed := r.w.run, r.w.changed
		r.w.mu.Unlock()
		if x != nil {
			if err := fn(*x); err != nil {
				return err
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (r runs) Keep(_ context.Context, x plan.Run) error {
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	r.w.kept[x.ID] = x
	return nil
}

func (r runs) Forget(context.Context, string) error {
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	r.w.run, r.w.rev, r.w.kept = nil, 0, map[string]plan.Run{}
	return nil
}

type jobs struct{ w *world }

func (j jobs) List(context.Context) ([]spec.ReplicationJob, error) {
	return j.w.listed, nil
}

func (j jobs) OnVMs(context.Context) ([]spec.VMJob, error) { return j.w.onVMs, nil }

func (j jobs) Running(_ context.Context, job string) (bool, error) {
	j.w.mu.Lock()
	defer j.w.mu.Unlock()
	return j.w.running[job], nil
}

func (j jobs) SetRunning(ctx context.Context, job string, running bool) error {
	j.w.mu.Lock()
	so := j.w.running[job] == running
	j.w.mu.Unlock()
	return j.w.effect(ctx, map[bool]string{true: "run ", false: "stop "}[running]+job, so, func() { j.w.running[job] = running })
}

// failovers makes each failover ready at once.
type failovers struct{ w *world }

func (f failovers) Run(_ context.Context, job string) (*failoverrun.Run, error) {
	f.w.mu.Lock()
	defer f.w.mu.Unlock()
	if x := f.w.failovers[job]; x != nil {
		if f.w.looked != nil {
			f.w.looked(x)
		}
		c := *x
		return &c, nil
	}
	return nil, nil
}

func (f failovers) Start(ctx context.Context, r failoverrun.Request) error {
	old, _ := f.Run(ctx, r.Job)
	err := failoverrun.Admit(old, r)
	if err != nil && !cdp.Is(err, cdp.Duplicate) {
		return err
	}
	return f.w.effect(ctx, string(r.Mode)+" failover "+r.Job, err != nil, func() {
		f.w.failovers[r.Job] = &failoverrun.Run{Request: r, Phase: recovery.Ready, Goal: recovery.Recover}
	})
}

func (f failovers) Check(ctx context.Context, job, _ string) error {
	return f.w.effect(ctx, "check "+job, false, func() {
		if f.w.failovers[job].CheckedAt = time.Now(); f.w.mended {
			f.w.failovers[job].CheckFailed = false
		}
	})
}

func (f failovers) End(ctx context.Context, job string, e orchestrator.Ending) error {
	x, _ := f.Run(ctx, job)
	if x == nil || e.Run != "" && x.ID != e.Run {
		return cdp.Errorf(cdp.NotFound, "end", job, "none")
	}
	g := e.Goal
	return f.w.effect(ctx, string(g)+" "+job, x.Over(), func() {
		f.w.endings = append(f.w.endings, e)
		f.w.failovers[job].Goal = g
		f.w.failovers[job].Phase = map[recovery.Goal]recovery.Phase{recovery.Cleanup: recovery.Cleaned, recovery.Undo: recovery.Undone, recovery.Commit: recovery.Committed}[g]
	})
}

type triggers struct{ w *world }

func (x triggers) Get(_ context.Context, plan, name string) (trigger.State, uint64, error) {
	x.w.mu.Lock()
	defer x.w.mu.Unlock()
	s, ok := x.w.states[plan+"."+name]
	if !ok {
		return s, 0, cdp.Errorf(cdp.NotFound, "get", name, "none")
	}
	return s, x.w.stateRevs[plan+"."+name], nil
}

func (x triggers) Put(ctx context.Context, s trigger.State, rev uint64) error {
	key := s.Plan + "." + s.Trigger
	x.w.at("before state")
	if ctx.Err() != nil {
		return cdp.Errorf(cdp.Transient, "put", key, "killed")
	}
	x.w.mu.Lock()
	if rev != x.w.stateRevs[key] {
		x.w.mu.Unlock()
		return cdp.Errorf(cdp.Conflict, "put", key, "revision %d is old", rev)
	}
	x.w.states[key], x.w.stateRevs[key] = s, rev+1
	x.w.mu.Unlock()
	x.w.at("after state")
	return nil
}

func (x triggers) Forget(_ context.Context, plan string) error {
	x.w.mu.Lock()
	defer x.w.mu.Unlock()
	maps.DeleteFunc(x.w.states, func(_ string, s trigger.State) bool { return s.Plan == plan })
	return nil
}

type witnesses struct{ w *world }

func (x witnesses) Get(_ context.Context, key string, site cdp.Site) (api.WitnessReport, error) {
	x.w.mu.Lock()
	defer x.w.mu.Unlock()
	r, ok := x.w.reports[key+string(site)]
	if !ok {
		return r, cdp.Errorf(cdp.NotFound, "get", key, "none")
	}
	return r, nil
}

func (x witnesses) Put(_ context.Context, r api.WitnessReport) error {
	x.w.mu.Lock()
	defer x.w.mu.Unlock()
	x.w.reports[r.Key+string(r.Site)] = r
	return nil
}

// send sends a command to a service.
func send(t *testing.T, handle func(context.Context, event.Event) error, p event.Payload) error {
	t.Helper()
	e, err := event.New("1", time.Now(), "/dr/ann", p)
	if err != nil {
		t.Fatal(err)
	}
	return handle(t.Context(), e)
}
