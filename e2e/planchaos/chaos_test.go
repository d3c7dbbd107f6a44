package planchaos

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/plan"
	"tidemark.dev/pkg/seedtest"
	"tidemark.dev/services/failover"
	"tidemark.dev/services/orchestrator"
)

var rounds = flag.Int("rounds", 5, "rounds of TestPlansUnderChaos; make soak has 200")

func TestPlansUnderChaos(t *testing.T) {
	seed := seedtest.Seed(t)
	faults := map[string]int{}
	for i := range *rounds {
		w := newWorld(seed + uint64(i))
		name := fmt.Sprintf("round %d (-seed %d -rounds 1)", i, seed+uint64(i))
		w.round(t, name)
		for k, n := range w.faults {
			faults[k] += n
		}
		if t.Failed() {
			t.Fatalf("%s: %+v", name, w.last())
		}
	}
	total := 0
	for _, k := range slices.Sorted(maps.Keys(faults)) {
		total += faults[k]
		t.Logf("%5d %s", faults[k], k)
	}
	t.Logf("%d rounds, %d faults", *rounds, total)
}

// choose is the plan of a round, its mode, and what becomes of the source.
func (w *world) choose(t *testing.T) recovery.Mode {
	mode := []recovery.Mode{recovery.Production, recovery.Test}[w.rand.IntN(2)]
	planned := w.rand.IntN(3) == 0 && mode == recovery.Production
	w.answers = planned || w.rand.IntN(2) == 0
	if !w.answers && w.rand.IntN(2) == 0 { // the site is gone, and its VMs with it
		for _, g := range w.groups {
			g.wasOn, g.sourceOn = g.sourceOn, false
		}
	}
	text := `apiVersion: tidemark.dev/v1
kind: SiteRecoveryJob
metadata: {name: shop}
spec:
  site: dr
  actions:
  - {name: stop, mode: both, stopJob: {job: batch}}
  - {name: db, retries: 1, retryEvery: 1ms, failover: {job: db, planned: PLANNED}}
  - {name: app, group: g, retries: RETRIES, RETRYEVERY failover: {job: app, planned: PLANNED}}
  - {name: web, group: g, background: BACKGROUND, failover: {job: web, planned: PLANNED}}
  - {name: dns, script: {file: move-dns}}
  - {name: sure, ask: {text: "go on?", default: approve}, timeout: 20ms}
  - {name: port, check: {port: "10.0.0.1:80"}}
  - {name: rest, wait: 5ms}
`
	retries := w.rand.IntN(3)
	every := ""
	if retries > 0 {
		every = "retryEvery: 1ms,"
	}
	if mode == recovery.Production && w.rand.IntN(3) == 0 {
		text += "  - {name: back, undo: {job: web}}\n"
	}
	if w.rand.IntN(2) == 0 {
		text += "  - {name: go, runJob: {job: batch}}\n"
	}
	text = strings.NewReplacer("PLANNED", fmt.Sprint(planned), "RETRYEVERY", every, "RETRIES", fmt.Sprint(retries), "BACKGROUND", fmt.Sprint(w.rand.IntN(2) == 0)).Replace(text)
	objects, err := spec.Parse("plan.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	w.plan = *objects[0].Plan
	return mode
}

// keepUp runs a service again and again until ctx ends: a kill ends one life.
func (w *world) keepUp(ctx context.Context, wg *sync.WaitGroup, name string, life func(context.Context)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.kills[name] = func() {}
	wg.Go(func() {
		for ctx.Err() == nil {
			one, kill := context.WithCancel(ctx)
			w.mu.Lock()
			w.kills[name] = kill
			w.mu.Unlock()
			life(one)
			kill()
		}
	})
}

// round is one run of a plan, with all that happens to it.
func (w *world) round(t *testing.T, name string) {
	mode := w.choose(t)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var mu sync.Mutex
	var over *life
	alive := func() *life { mu.Lock(); defer mu.Unlock(); return over }
	set := func(l *life) { mu.Lock(); defer mu.Unlock(); over = l }
	w.keepUp(ctx, &wg, failing, func(ctx context.Context) {
		s := failover.New(failover.Config{PollEvery: time.Millisecond, RetryMin: time.Millisecond, RetryMax: 5 * time.Millisecond, OwedMax: 5 * time.Millisecond, SourceTimeout: 10 * time.Millisecond, Grace: time.Millisecond},
			failover.Deps{Jobs: specs{w}, Records: records{w}, Journal: target{w}, Exports: target{w}, Replica: target{w}, VMs: target{w}, Source: source{w}, Events: w, Clock: clock.System})
		set(&life{s, ctx})
		_ = s.Run(ctx)
		set(nil)
	})
	var first *orchestrator.Service
	for _, who := range []string{"orchestrator a", "orchestrator b"} {
		c := conductor{w, who, alive}
		born := func() *orchestrator.Service {
			return orchestrator.New(orchestrator.Config{Site: "dr", PollEvery: time.Millisecond, RetryMin: time.Millisecond, RetryMax: 5 * time.Millisecond, LookForPlans: time.Hour},
				orchestrator.Deps{Plans: plans{c}, Checks: checks{c}, Runs: runs{c}, Triggers: noTriggers{}, Witnesses: noWitnesses{}, Lease: w, Jobs: jobs{c}, VMs: noVMs{}, Failovers: failovers{c}, World: around{c}, Outside: around{c}, Events: w, Clock: clock.System})
		}
		first = born()
		w.keepUp(ctx, &wg, who, func(ctx context.Context) { _ = born().Run(ctx) })
	}
	w.failing = alive
	w.operate(t, name, first, mode)
	w.settled(t)
	w.later.Wait()
	cancel()
	wg.Wait()
	w.judge(t, name, mode)
}

// command sends a command to an orchestrator, as people do: it may be lost, and is
// sent again.
func (w *world) command(t *testing.T, handle func(context.Context, event.Event) error, p event.Payload) {
	e, err := event.New("1", time.Now(), "/dr/ann", p)
	if err != nil {
		t.Fatal(err)
	}
	_ = w.again(func() error { return handle(context.WithoutCancel(t.Context()), e) })
}

// operate is the operator: starts the run, pauses and resumes it, and when the faults
// have ended does what the run says is to be done.
func (w *world) operate(t *testing.T, name string, s *orchestrator.Service, mode recovery.Mode) {
	began := time.Now()
	for end := began.Add(3 * time.Minute); !w.last().Over(); time.Sleep(time.Millisecond) {
		if w.last().ID == "" {
			w.command(t, s.HandleRun, event.PlanRun{Plan: "shop", Run: "r1", Mode: mode})
		}
		w.mu.Lock()
		pause, resume := w.oneIn(200, "paused"), w.oneIn(20, "resumed")
		w.calm = w.calm || time.Since(began) > time.Second
		calm := w.calm
		w.mu.Unlock()
		switch {
		case pause:
			w.command(t, s.HandleControl, event.PlanControl{Plan: "shop", Do: "pause"})
		case resume || calm:
			w.command(t, s.HandleControl, event.PlanControl{Plan: "shop", Do: "resume"})
		}
		if time.Now().After(end) {
			t.Fatalf("%s: the run is stuck: %s", name, w.said())
		}
	}
	w.mu.Lock()
	w.calm = true
	w.mu.Unlock()
	for end := time.Now().Add(3 * time.Minute); w.last().Phase != plan.Succeeded; time.Sleep(time.Millisecond) {
		if r := w.last(); r.Over() {
			w.mend(t, s, r)
			if !cleaned(w.last()) || mode == recovery.Production {
				continue
			}
			return // a test that failed stays failed; it is cleaned up
		}
		if time.Now().After(end) {
			t.Fatalf("%s: nothing helps: %s", name, w.said())
		}
	}
}

// said is what there is to see of a run that does not go on: its actions, and the failovers.
func (w *world) said() string {
	r := w.last()
	text := fmt.Sprintf("it is %s", r.Phase)
	for _, a := range r.Actions {
		text += fmt.Sprintf("\n%s: %s, attempt %d, clean-up %+v: %s", a.Name, a.Status, a.Attempt, a.Clean, a.Text)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for job, x := range w.runs {
		text += fmt.Sprintf("\nfailover of %s: %s is %s, goal %s, next %q, check failed %t, %s: %+v", job, x.ID, x.Phase, x.Goal, x.Next, x.CheckFailed, x.Error, x.Steps)
	}
	return text
}

// cleaned reports whether a run is over and has left nothing that can be retried.
func cleaned(r plan.Run) bool {
	return r.Over() && !slices.ContainsFunc(r.Actions, func(x plan.Record) bool { return x.Clean != nil && x.Clean.Status == plan.GaveUp })
}

// retries is how often the operator retries an action before skipping it: the checks of
// a VM that runs are not made again.
const retries = 4

// mend does what the run's text and the failovers' hints say is next: a failover that
// could not take back what it did is undone, and what failed is retried or skipped.
func (w *world) mend(t *testing.T, s *orchestrator.Service, r plan.Run) {
	w.mu.Lock()
	var stuck []string
	for name, x := range w.runs {
		if x.Mode == recovery.Production && x.Phase == recovery.Failed && !x.Over() {
			stuck = append(stuck, name)
		}
	}
	w.mu.Unlock()
	if f := w.failing(); f != nil && len(stuck) > 0 {
		_ = f.service.Ask(f.ctx, stuck[0], "", recovery.Undo)
		return
	}
	for _, a := range r.Actions {
		if a.Status == plan.GaveUp || a.Clean != nil && a.Clean.Status == plan.GaveUp {
			do := "retry"
			if a.Attempt > retries && a.Status == plan.GaveUp {
				do = "skip"
			}
			w.command(t, s.HandleControl, event.PlanControl{Plan: "shop", Do: do, Action: a.Name})
			return
		}
	}
}

// settled waits, with the source back and its VMs started by somebody, until nothing is
// owed there.
func (w *world) settled(t *testing.T) {
	w.mu.Lock()
	w.answers = true
	for _, g := range w.groups {
		g.sourceOn = g.sourceOn || !g.fenced
	}
	w.mu.Unlock()
	for end := time.Now().Add(3 * time.Minute); ; time.Sleep(time.Millisecond) {
		w.mu.Lock()
		owed := false
		for _, x := range w.runs {
			_, is := x.Owed()
			owed = owed || is
		}
		w.mu.Unlock()
		if !owed {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("what is owed at the source is never done: %+v", w.runs)
		}
	}
}

// judge is what must hold in the end.
func (w *world) judge(t *testing.T, name string, mode recovery.Mode) {
	for _, text := range w.wrong {
		t.Errorf("%s: %s", name, text)
	}
	for what, n := range w.effects {
		if n > 1 && !strings.HasPrefix(what, "put ") && what != "script" && what != "set running" {
			t.Errorf("%s: %s took effect %d times", name, what, n)
		}
	}
	if n, attempts := w.scripts["move-dns TIDEMARK_ACTION=dns"], w.run.Attempts("dns"); n > attempts {
		t.Errorf("%s: the script ran %d times in %d attempts", name, n, attempts)
	}
	for job, g := range w.groups {
		if g.replicaOn && g.sourceOn {
			x := w.runs[job]
			t.Errorf("%s: %s runs at both sites: %+v; its failover %s is %s, goal %s, %s, old VM %+v: %s", name, job, *g, x.ID, x.Phase, x.Goal, x.Error, x.Old, x.Summary())
		}
		if mode == recovery.Test && (len(g.tests) > 0 || len(g.exports) > 0 || g.halted || g.replicaOn || !g.running || !g.sourceOn) {
			t.Errorf("%s: the test left something of %s: %+v", name, job, *g)
		}
	}
	if mode == recovery.Production && w.run.Phase != plan.Succeeded {
		t.Errorf("%s: the run %s", name, w.run.Phase)
	}
}
