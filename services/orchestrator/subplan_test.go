package orchestrator_test

import (
	"context"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/core/failoverrun"
	"tidemark.dev/pkg/core/plan"
	"tidemark.dev/pkg/core/trigger"
)

// twoRuns are the records of the plans shop and inner.
type twoRuns struct {
	runs
	inner *plan.Run
	rev   uint64
}

func (r *twoRuns) Get(ctx context.Context, name string) (plan.Run, uint64, error) {
	if name != "inner" {
		return r.runs.Get(ctx, name)
	}
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	if r.inner == nil {
		return plan.Run{}, 0, cdp.Errorf(cdp.NotFound, "get", "run", "none")
	}
	return *r.inner, r.rev, nil
}

func (r *twoRuns) Put(ctx context.Context, x plan.Run, rev uint64) (uint64, error) {
	if x.Plan != "inner" {
		return r.runs.Put(ctx, x, rev)
	}
	r.w.at("before put inner")
	if ctx.Err() != nil {
		return 0, cdp.Errorf(cdp.Transient, "put", "", "killed")
	}
	r.w.mu.Lock()
	if rev != r.rev {
		r.w.mu.Unlock()
		return 0, cdp.Errorf(cdp.Conflict, "put", "inner", "revision %d is not %d", rev, r.rev)
	}
	r.inner, r.rev = &x, r.rev+1
	rev = r.rev
	close(r.w.changed)
	r.w.changed = make(chan struct{})
	r.w.mu.Unlock()
	r.w.at("after put inner")
	return rev, nil
}

func (r *twoRuns) Watch(ctx context.Context, fn func(plan.Run) error) error {
	for {
		r.w.mu.Lock()
		both, changed := []*plan.Run{r.w.run, r.inner}, r.w.changed
		r.w.mu.Unlock()
		for _, x := range both {
			if x == nil {
				continue
			}
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

// nested is a world with the plans shop, which runs inner, and inner.
func nested(t *testing.T, inner string) (*world, *twoRuns) {
	w := newWorld()
	r := &twoRuns{runs: runs{w}}
	w.runs = r
	p := parse(t, inner)
	p.Name = "inner"
	w.plans["inner"] = p
	return w, r
}

const outer = "- {name: first, retries: 1, retryEvery: 1ms, runPlan: {plan: inner}}\n- {name: web, failover: {job: web}}"

// A plan runs another one, killed before and after each write and effect: each takes
// effect once, the other plan's first, and a test leaves nothing of either.
func TestAPlanRunsAnotherPlan(t *testing.T) {
	for _, mode := range []recovery.Mode{recovery.Production, recovery.Test} {
		for n := 0; ; n++ {
			w, r := nested(t, "- {name: db, failover: {job: db}}\n- {name: up, check: {port: \"x:1\"}}")
			s := w.service()
			begin(t, w, s, outer, mode)
			killed := w.killAt(t, s, n)
			if w.last().Phase != plan.Succeeded || r.inner == nil || r.inner.Phase != plan.Succeeded || r.inner.Mode != mode || r.inner.By != "plan shop, run r1" {
				t.Fatalf("killed %s: %+v %+v", killed, w.last(), r.inner)
			}
			want := []string{string(mode) + " failover db", string(mode) + " failover web"}
			if mode == recovery.Test {
				want = append(want, "cleanup db", "cleanup web")
			}
			for _, name := range want {
				if w.effects[name] != 1 {
					t.Errorf("%s, killed %s: %s took effect %d times", mode, killed, name, w.effects[name])
				}
			}
			if killed == "" {
				break
			}
		}
	}
}

// A run that is cancelled cancels the run that it waits for, and a plan that fails fails
// the action.
func TestACancelledRunCancelsThePlanThatItRuns(t *testing.T) {
	w, r := nested(t, "- {name: db, failover: {job: db}}\n- {name: never, check: {reachable: prod}, timeout: 1h}")
	s := w.service()
	begin(t, w, s, outer, recovery.Test)
	ended := make(chan struct{})
	go func() { defer close(ended); play(t, w, s, nil) }()
	waiting := func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return r.inner != nil && r.inner.Attempts("never") > 0
	}
	for end := time.Now().Add(time.Minute); !waiting(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%+v", w.last())
		}
	}
	if err := send(t, s.HandleControl, event.PlanControl{Plan: "shop", Do: "cancel"}); err != nil {
		t.Fatal(err)
	}
	<-ended
	if w.last().Phase != plan.Cancelled || r.inner.Phase != plan.Cancelled || w.effects["cleanup db"] != 1 || w.effects["test failover web"] != 0 {
		t.Errorf("%+v %+v %v", w.last(), r.inner, w.effects)
	}

	w, r = nested(t, "- {name: db, failover: {job: db}}\n- {name: closed, check: {reachable: prod}, timeout: 20200ms}")
	s = w.service()
	begin(t, w, s, "- {name: first, runPlan: {plan: inner}}\n- {name: web, failover: {job: web}}", recovery.Production)
	play(t, w, s, nil)
	if w.last().Phase != plan.Failed || r.inner.Phase != plan.Failed || w.effects["production failover web"] != 0 {
		t.Errorf("%+v %+v", w.last(), r.inner)
	}
}

// wait waits until something is so.
func (w *world) wait(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		w.mu.Lock()
		so := is()
		w.mu.Unlock()
		switch {
		case so:
			return
		case time.Now().After(end):
			t.Fatalf("not %s: %+v", what, w.last())
		}
	}
}

// While a run is paused, so is the run of the plan that it runs, and it goes on with it. One
// that a person paused stays so.
func TestAPausedRunPausesThePlanThatItRuns(t *testing.T) {
	w, r := nested(t, "- {name: sure, ask: {text: go on}}\n- {name: db, failover: {job: db}}")
	s := w.service()
	do := func(plan, verb, action string) {
		t.Helper()
		if err := send(t, s.HandleControl, event.PlanControl{Plan: plan, Do: verb, Action: action}); err != nil {
			t.Fatal(err)
		}
	}
	begin(t, w, s, "- {name: ready, ask: {text: begin}}\n"+outer, recovery.Production)
	ended := make(chan struct{})
	go func() { defer close(ended); play(t, w, s, nil) }()
	w.wait(t, "asking", func() bool { return w.run.Actions[0].Status == plan.Started })
	do("shop", "approve", "ready")
	w.wait(t, "asking in the inner plan", func() bool { return r.inner != nil && r.inner.Actions[0].Status == plan.Started })
	do("shop", "pause", "")
	w.wait(t, "paused with it", func() bool { return r.inner.Phase == plan.Paused })
	do("inner", "approve", "sure")
	if text := r.inner.NextText(); text != "it goes on with the plan that paused it: tidemark plan resume shop" || w.effects["production failover db"] != 0 {
		t.Errorf("%q %v", text, w.effects)
	}
	do("shop", "resume", "")
	<-ended
	if w.last().Phase != plan.Succeeded || r.inner.Phase != plan.Succeeded || w.effects["production failover db"] != 1 {
		t.Errorf("%+v %+v %v", w.last(), r.inner, w.effects)
	}

	w, r = nested(t, "- {name: sure, ask: {text: go on}}\n- {name: db, failover: {job: db}}")
	s = w.service()
	begin(t, w, s, outer, recovery.Production)
	ended = make(chan struct{})
	go func() { defer close(ended); play(t, w, s, nil) }()
	w.wait(t, "asking", func() bool { return r.inner != nil && r.inner.Actions[0].Status == plan.Started })
	do("inner", "pause", "")
	do("inner", "approve", "sure")
	do("shop", "pause", "")
	do("shop", "resume", "")
	w.mu.Lock()
	stays := r.inner.Phase == plan.Paused && r.inner.PausedWith == ""
	w.mu.Unlock()
	if !stays {
		t.Errorf("%+v", r.inner)
	}
	do("inner", "resume", "")
	<-ended
	if w.last().Phase != plan.Succeeded {
		t.Errorf("%+v", w.last())
	}
}

// A trigger counts what a plan recovers through the plans that it runs: it starts the plan
// although all jobs of the plan itself run here already.
func TestATriggerCountsTheJobsOfThePlansThatAPlanRuns(t *testing.T) {
	w := watch(t, prodGone)
	w.mu.Lock()
	shop := w.plans["shop"]
	shop.Actions = parse(t, "- {name: db, failover: {job: db}}\n- {name: rest, runPlan: {plan: inner}}").Actions
	inner := parse(t, "- {name: web, failover: {job: web}}\n- {name: loop, runPlan: {plan: shop}}")
	w.plans["shop"], w.plans["inner"] = shop, inner
	here := func(job string) *failoverrun.Run {
		return &failoverrun.Run{Request: failoverrun.Request{Job: job, ID: "by-hand", Mode: recovery.Production, To: recovery.ToNBD}, Phase: recovery.Ready, Goal: recovery.Recover}
	}
	w.failovers["db"], w.failovers["web"] = here("db"), here("web")
	w.mu.Unlock()
	w.silent = []bool{true, true}
	w.pass(6 * time.Minute)
	if runs := w.begun(); len(runs) > 0 {
		t.Error(runs)
	}
	w.mu.Lock()
	delete(w.failovers, "web")
	w.mu.Unlock()
	w.until(trigger.Spent)
	if runs := w.begun(); len(runs) != 1 {
		t.Error(runs)
	}
}
