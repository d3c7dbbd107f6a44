package orchestrator_test

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"strings"
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

// watched is a world with a plan that has a trigger, and a service that watches it at
// a simulated time.
type watched struct {
	*world
	t      *testing.T
	s      *orchestrator.Service
	kill   context.CancelFunc
	ended  chan struct{}
	keys   []ed25519.PrivateKey
	silent []bool // what the witnesses see of prod
}

// look is the pause between two looks at the triggers.
const look = 10 * time.Second

// watch begins with a trigger, in which KEY0 and KEY1 are two witnesses' keys.
func watch(t *testing.T, text string) *watched {
	t.Helper()
	w := &watched{world: newWorld(), t: t, silent: make([]bool, 2)}
	w.now = clock.NewSimulated(time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC))
	for i := range w.silent {
		w.keys = append(w.keys, ed25519.NewKeyFromSeed([]byte(strings.Repeat(string(rune('a'+i)), ed25519.SeedSize))))
		text = strings.ReplaceAll(text, fmt.Sprint("KEY", i), api.WitnessKey(w.keys[i]))
	}
	objects, err := spec.Parse("plan.yaml", []byte("apiVersion: tidemark.dev/v1\nkind: SiteRecoveryJob\nmetadata: {name: shop}\nspec:\n  site: dr\n  automaticProductionFailover: true\n  triggers: ["+text+"]\n  actions: [{name: db, failover: {job: db}}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	w.plans["shop"] = *objects[0].Plan
	w.start()
	t.Cleanup(func() { w.stop() })
	return w
}

func (w *watched) start() {
	w.s = w.service()
	ctx, cancel := context.WithCancel(context.Background())
	w.kill, w.ended = cancel, make(chan struct{})
	go func() { defer close(w.ended); _ = w.s.Run(ctx) }()
}

func (w *watched) stop() { w.kill(); <-w.ended }

// pass lets time pass, look by look, while the witnesses report.
func (w *watched) pass(d time.Duration) {
	w.t.Helper()
	for end := w.now.Now().Add(d); w.now.Now().Before(end); {
		w.rest()
		for i := range w.keys {
			if err := w.report(i, nil); err != nil && !cdp.Is(err, cdp.NotFound) { // it may be no trigger about sites
				w.t.Error(err)
			}
		}
		w.now.Advance(look)
		w.rest()
	}
}

// rest waits until the service waits for the time.
func (w *watched) rest() {
	w.t.Helper()
	for end := time.Now().Add(time.Minute); w.now.Timers() == 0; time.Sleep(50 * time.Microsecond) {
		if time.Now().After(end) {
			w.t.Fatal("the service does not look")
		}
	}
}

// report sends a witness's report, and gives the answer. change may change it after it
// was signed.
func (w *watched) report(i int, change func(*api.WitnessReport)) error {
	r := api.WitnessReport{To: "dr", Site: "prod", Answers: !w.silent[i], At: w.now.Now()}
	r.Sign(w.keys[i])
	if change != nil {
		change(&r)
	}
	body, err := json.Marshal(r)
	if err != nil {
		w.t.Fatal(err)
	}
	_, err = w.s.Endpoints()[api.PlanWitness](w.t.Context(), body)
	return err
}

func (w *watched) phase() trigger.Phase {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.states["shop.t"].Phase
}

// until lets time pass until the trigger is in a phase.
func (w *watched) until(want trigger.Phase) {
	w.t.Helper()
	for range 1000 {
		if w.phase() == want {
			return
		}
		w.pass(look)
	}
	w.t.Fatalf("the trigger is never %s: %+v", want, w.states)
}

// runs are the runs that have begun.
func (w *watched) begun() map[string]bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := map[string]bool{}
	for _, e := range w.events {
		if x, is := e.(event.PlanStarted); is {
			out[x.Run] = true
		}
	}
	return out
}

const prodGone = "{name: t, unreachable: {site: prod, witnesses: [{name: a, key: KEY0}, {name: b, key: KEY1}]}, for: 5m, coolDown: 10m, start: automatic}"

// With the link cut and the source alive nothing starts. When the source is killed,
// the plan starts after the hold time, once.
func TestAPlanStartsOnceWhenTheSourceIsGoneAndNotWhenTheLinkIsCut(t *testing.T) {
	w := watch(t, prodGone)
	w.pass(10 * time.Minute) // the link is cut: prod does not answer here
	w.silent[0] = true       // one witness alone is not enough
	w.pass(10 * time.Minute)
	if w.phase() != trigger.Armed {
		t.Errorf("%+v", w.states)
	}
	w.silent[1] = true
	w.pass(4 * time.Minute)
	w.silent[1] = false // it was a short outage
	w.pass(look)
	w.silent[1] = true
	w.pass(4 * time.Minute)
	if runs := w.begun(); len(runs) > 0 {
		t.Error("it started early:", runs)
	}
	w.until(trigger.Spent)
	w.pass(30 * time.Minute)
	r := w.last()
	if runs := w.begun(); len(runs) != 1 || r.Mode != recovery.Production || r.By != "trigger t" || w.effects["production failover db"] != 1 {
		t.Errorf("%v %+v %v", runs, r, w.effects)
	}
}

// After a planned failover, by the plan or by hand, the source is switched off: the plan
// does not start again, for all of it runs here. Once that is undone, it does.
func TestATriggerDoesNotRecoverWhatRunsHere(t *testing.T) {
	w := watch(t, prodGone)
	by := func(phase recovery.Phase, goal recovery.Goal) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.failovers["db"] = &failoverrun.Run{Request: failoverrun.Request{Job: "db", ID: "by-hand", Mode: recovery.Production, To: recovery.ToNBD, Planned: true}, Phase: phase, Goal: goal}
	}
	by(recovery.Ready, recovery.Recover)
	w.silent = []bool{true, true}
	w.pass(6 * time.Minute)
	by(recovery.Committed, recovery.Commit)
	w.pass(6 * time.Minute)
	if runs := w.begun(); len(runs) > 0 || !strings.Contains(w.states["shop.t"].Text, "failed over already") {
		t.Errorf("%v %+v", runs, w.states)
	}
	by(recovery.Undone, recovery.Undo)
	w.until(trigger.Spent)
	if runs := w.begun(); len(runs) != 1 {
		t.Error(runs)
	}
}

// The witnesses agree, and the source answers here: nothing starts. Nor does it when
// nothing is heard of a witness any more.
func TestASiteThatAnswersHereIsNotGone(t *testing.T) {
	w := watch(t, prodGone)
	w.gone["prod"] = false
	w.silent = []bool{true, true}
	w.pass(10 * time.Minute)
	w.mu.Lock()
	w.gone["prod"] = true
	w.mu.Unlock()
	w.keys = w.keys[:1] // b is heard of no more
	w.pass(10 * time.Minute)
	if runs := w.begun(); len(runs) > 0 || !strings.Contains(w.states["shop.t"].Text, "nothing is heard of b") {
		t.Errorf("%v %+v", runs, w.states)
	}
}

// Killed before and after each write, another service goes on, and one run begins.
func TestATriggerOfAKilledServiceFiresOnce(t *testing.T) {
	for n := 1; ; n++ {
		w := watch(t, "{name: t, signal: {}, start: automatic}")
		calls, killed := 0, false
		w.mu.Lock()
		w.hook = func(string) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if calls++; calls == n {
				killed = true
				w.kill()
			}
		}
		w.mu.Unlock()
		if err := send(t, w.s.HandleTrigger, event.PlanTrigger{Plan: "shop", Trigger: "t", Do: "raise"}); err != nil && !cdp.Is(err, cdp.Transient) {
			t.Fatal(err)
		}
		for range 1000 {
			w.mu.Lock()
			over := killed
			w.mu.Unlock()
			if over || w.phase() == trigger.Spent && w.last().Over() {
				break
			}
			w.now.Advance(look)
			time.Sleep(50 * time.Microsecond)
		}
		w.stop()
		w.mu.Lock()
		w.hook = nil
		w.mu.Unlock()
		w.start()
		w.until(trigger.Spent)
		for !w.last().Over() {
			w.pass(look)
		}
		w.pass(time.Minute)
		w.stop()
		if r := w.last(); r.Phase != plan.Succeeded || w.effects["production failover db"] != 1 || len(w.kept) > 0 {
			t.Errorf("killed at %d: %+v %v", n, r, w.effects)
		}
		if !killed {
			if n < 8 {
				t.Errorf("only %d calls", n)
			}
			return
		}
	}
}

// A trigger asks before it starts a plan in production, unless the plan says otherwise;
// the RPO is one of the things that it can wait for.
func TestATriggerAsksPeople(t *testing.T) {
	w := watch(t, "{name: t, rpo: {job: db, above: 1m}, for: 10s, approvals: 2}")
	ask := func(do, by string) error {
		return send(t, w.s.HandleTrigger, event.PlanTrigger{Plan: "shop", Trigger: "t", Do: do, By: by})
	}
	w.pass(time.Minute)
	if err := ask("approve", "ann"); !cdp.Is(err, cdp.Conflict) {
		t.Error(err)
	}
	if err := ask("raise", "ann"); !cdp.Is(err, cdp.Invalid) {
		t.Error(err)
	}
	w.mu.Lock()
	w.world.rpo = 2 * time.Minute
	w.mu.Unlock()
	w.until(trigger.Asking)
	w.pass(5 * time.Minute)
	for _, by := range []string{"ann", "bob"} {
		if err := ask("approve", by); err != nil {
			t.Error(by, err)
		}
		if err := ask("approve", by); err == nil {
			t.Error(by, "agreed twice")
		}
	}
	w.until(trigger.Spent)
	if runs := w.begun(); len(runs) != 1 {
		t.Error(runs)
	}
}

// Whatever is stored: without its plan's leave no trigger starts a production run alone.
func TestAProductionRunByItselfNeedsLeave(t *testing.T) {
	w := watch(t, "{name: t, signal: {}, start: automatic}")
	w.stop()
	p := w.plans["shop"]
	p.AutomaticProductionFailover = false
	w.plans["shop"] = p
	w.start()
	if err := send(t, w.s.HandleTrigger, event.PlanTrigger{Plan: "shop", Trigger: "t", Do: "raise"}); err != nil {
		t.Fatal(err)
	}
	w.until(trigger.Asking)
	w.pass(time.Minute)
	if runs := w.begun(); len(runs) > 0 {
		t.Error(runs)
	}
}

// Reports that are not a listed witness's own, or not of now, do not count.
func TestReportsOfOthersAreRefused(t *testing.T) {
	w := watch(t, prodGone)
	w.pass(look)
	w.now.Advance(time.Second)
	for what, x := range map[string]struct {
		change func(*api.WitnessReport)
		kind   cdp.Kind
	}{
		"forged":             {func(r *api.WitnessReport) { r.Answers = !r.Answers }, cdp.Invalid},
		"under another":      {func(r *api.WitnessReport) { r.Key = api.WitnessKey(w.keys[1]) }, cdp.Invalid},
		"of a stranger":      {func(r *api.WitnessReport) { r.Sign(ed25519.NewKeyFromSeed(make([]byte, 32))) }, cdp.NotFound},
		"of another site":    {func(r *api.WitnessReport) { r.Site = "x"; r.Sign(w.keys[0]) }, cdp.NotFound},
		"to another site":    {func(r *api.WitnessReport) { r.To = "x"; r.Sign(w.keys[0]) }, cdp.Invalid},
		"of another day":     {func(r *api.WitnessReport) { r.At = r.At.Add(-time.Hour); r.Sign(w.keys[0]) }, cdp.Invalid},
		"of before the last": {func(r *api.WitnessReport) { r.At = r.At.Add(-time.Minute); r.Sign(w.keys[0]) }, cdp.Duplicate},
	} {
		if err := w.report(0, x.change); !cdp.Is(err, x.kind) {
			t.Errorf("a report %s: %v", what, err)
		}
	}
}

// A schedule has the plan tested at its time, by nobody, cleans up, and leaves the job
// running; the run says what began it. It is not tested again before its next time.
func TestAScheduleTestsThePlanAndCleansUp(t *testing.T) {
	w := watch(t, "{name: nightly, schedule: {at: '13:00'}}")
	w.pass(59 * time.Minute)
	if runs := w.begun(); len(runs) > 0 {
		t.Fatal("it began early:", runs)
	}
	w.pass(2 * time.Minute)
	for end := time.Now().Add(time.Minute); !w.last().Over() && time.Now().Before(end); {
		w.pass(look)
	}
	r := w.last()
	rec := r.Actions[0]
	if r.Phase != plan.Succeeded || r.Mode != recovery.Test || r.By != "trigger nightly" || rec.Clean == nil || rec.Clean.Status != plan.Done || !strings.Contains(rec.Clean.Text, "is cleaned up") {
		t.Fatalf("%+v", r)
	}
	w.pass(2 * time.Hour)
	w.mu.Lock()
	defer w.mu.Unlock()
	for what, n := range map[string]int{"test failover db": 1, "cleanup db": 1, "production failover db": 0, "stop db": 0, "run db": 0} {
		if w.effects[what] != n {
			t.Errorf("%s: %v", what, w.effects)
		}
	}
	if s := w.states["shop.nightly"]; s.Phase != trigger.Armed || !s.Next.Equal(time.Date(2026, 12, 1, 13, 0, 0, 0, time.UTC)) {
		t.Errorf("%+v", s)
	}
}
