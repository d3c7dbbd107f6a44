package orchestrator_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/failoverrun"
	"tidemark.dev/pkg/core/plan"
	"tidemark.dev/services/orchestrator"
)

// parse is the plan shop with these actions.
func parse(t *testing.T, actions string) spec.Plan {
	t.Helper()
	objects, err := spec.Parse("plan.yaml", []byte("apiVersion: tidemark.dev/v1\nkind: SiteRecoveryJob\nmetadata: {name: shop}\nspec:\n  site: dr\n  actions:\n  "+strings.ReplaceAll(actions, "\n", "\n  ")+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	return *objects[0].Plan
}

// play runs a service until the run is over, or until kill is closed.
func play(t *testing.T, w *world, s *orchestrator.Service, kill <-chan struct{}) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ended := make(chan struct{})
	go func() { defer close(ended); _ = s.Run(ctx) }()
	for {
		w.mu.Lock()
		changed := w.changed
		w.mu.Unlock()
		if w.last().Over() {
			break
		}
		select {
		case <-changed:
			continue
		case <-kill:
		case <-ctx.Done():
			t.Fatalf("the run does not end: %+v", w.last())
		}
		break
	}
	cancel()
	<-ended
}

const full = `- {name: there, check: {unreachable: prod}}
- {name: stop, mode: both, stopJob: {job: web}}
- {name: db, failover: {job: db}}
- {name: web, failover: {job: web}}
- {name: dns, critical: false, script: {file: move-dns}}
- {name: check, check: {http: {url: "http://x/", status: 204}}}
- {name: answers, check: {vm: web01}}
- {name: well, check: {status: {job: db, holds: 'state == "protected" and objectiveSeconds <= 5'}}}`

func begin(t *testing.T, w *world, s *orchestrator.Service, actions string, mode recovery.Mode) {
	t.Helper()
	w.plans["shop"] = parse(t, actions)
	if err := send(t, s.HandleRun, event.PlanRun{Plan: "shop", Run: "r1", Mode: mode}); err != nil {
		t.Fatal(err)
	}
}

// Killed before and after each write and each effect, another service goes on: each
// effect happens once, but for a script, which is not run again when nobody knows
// whether it was; a test leaves everything as it was.
func TestAKilledServiceHasEachEffectOnce(t *testing.T) {
	for _, mode := range []recovery.Mode{recovery.Production, recovery.Test} {
		for n := 0; ; n++ {
			w := newWorld()
			s := w.service()
			begin(t, w, s, full, mode)
			killed := w.killAt(t, s, n)
			w.judge(t, mode, killed)
			if killed == "" {
				if n < 20 {
					t.Errorf("only %d calls", n)
				}
				break
			}
		}
	}
}

// killAt runs a service, kills it at its call n, if it makes so many, and has another one
// go on until the run is over. It says at which call; empty: at none.
func (w *world) killAt(t *testing.T, s *orchestrator.Service, n int) (killed string) {
	t.Helper()
	kill, calls := make(chan struct{}), 0
	ctx, cancel := context.WithCancel(t.Context())
	w.hook = func(what string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if calls++; calls == n+1 {
			killed = what
			cancel()
			close(kill)
		}
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = s.Run(ctx) }()
	for over := false; !over; {
		w.mu.Lock()
		changed := w.changed
		w.mu.Unlock()
		if over = w.last().Over(); over {
			break
		}
		select {
		case <-kill:
			over = true
		case <-changed:
		case <-time.After(time.Minute):
			t.Fatalf("%+v", w.last())
		}
	}
	cancel()
	<-ended
	w.mu.Lock()
	w.hook = nil
	w.mu.Unlock()
	play(t, w, w.service(), nil)
	return killed
}

// judge checks what a run of the full plan has done, which was killed at a call.
func (w *world) judge(t *testing.T, mode recovery.Mode, killed string) {
	t.Helper()
	if r := w.last(); r.Phase != plan.Succeeded {
		t.Fatalf("killed %s: the run %s: %+v", killed, r.Phase, r.Actions)
	}
	want := []string{"stop web", string(mode) + " failover db", string(mode) + " failover web"}
	if mode == recovery.Test {
		want = append(want, "cleanup db", "cleanup web", "run web")
	}
	if !strings.Contains(killed, "script") && !strings.Contains(killed, "put") {
		want = append(want, "script move-dns")
	}
	for _, name := range want {
		if w.effects[name] != 1 {
			t.Errorf("killed %s: %s took effect %d times", killed, name, w.effects[name])
		}
	}
	if n := w.effects["script move-dns"]; n > 1 {
		t.Errorf("killed %s: the script ran %d times", killed, n)
	}
}

func TestTwoServicesDriveARunOnce(t *testing.T) {
	w := newWorld()
	a, b := w.service(), w.service()
	begin(t, w, a, full, recovery.Production)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = b.Run(ctx) }()
	play(t, w, a, nil)
	cancel()
	<-ended
	w.judge(t, recovery.Production, "")
	finished := 0
	for _, e := range w.events {
		if _, is := e.(event.PlanFinished); is {
			finished++
		}
	}
	if finished != 1 {
		t.Errorf("it finished %d times", finished)
	}
}

// A run is stopped by a message while a check waits; the test is cleaned up.
func TestARunningTestCanBeCancelled(t *testing.T) {
	w := newWorld()
	s := w.service()
	begin(t, w, s, "- {name: db, failover: {job: db}}\n- {name: never, check: {reachable: prod}, timeout: 1h}\n", recovery.Test)
	done := make(chan struct{})
	go func() { defer close(done); play(t, w, s, nil) }()
	for end := time.Now().Add(time.Minute); w.last().Attempts("never") == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%+v", w.last())
		}
	}
	if err := send(t, s.HandleControl, event.PlanControl{Plan: "shop", Run: "other", Do: "cancel"}); !cdp.Is(err, cdp.Conflict) {
		t.Error(err)
	}
	if err := send(t, s.HandleControl, event.PlanControl{Plan: "shop", Do: "cancel"}); err != nil {
		t.Error(err)
	}
	<-done
	if w.last().Phase != plan.Cancelled || w.effects["cleanup db"] != 1 {
		t.Errorf("%+v %v", w.last(), w.effects)
	}
	if err := send(t, s.HandleControl, event.PlanControl{Plan: "shop", Do: "cancel"}); !cdp.Is(err, cdp.Duplicate) {
		t.Error(err)
	}
}

// A job that somebody has failed over before stays as it is, and the others are
// recovered.
func TestAPlanRecoversWhatDoesNotRunHereYet(t *testing.T) {
	w := newWorld()
	s := w.service()
	w.failovers["db"] = &failoverrun.Run{Request: failoverrun.Request{Job: "db", ID: "by-hand", Mode: recovery.Production, To: recovery.ToNBD}, Phase: recovery.Ready, Goal: recovery.Recover}
	begin(t, w, s, "- {name: db, failover: {job: db}}\n- {name: web, failover: {job: web}}", recovery.Production)
	play(t, w, s, nil)
	run := w.last()
	if run.Phase != plan.Succeeded || w.failovers["db"].ID != "by-hand" || w.effects["production failover web"] != 1 || !strings.Contains(run.Actions[0].Text, "by-hand") {
		t.Errorf("%+v %v", run, w.effects)
	}
}

// A failover that failed takes back what it did before it is over. Until then the action
// is in progress, and then it says why.
func TestAFailoverThatGoesBackSaysWhy(t *testing.T) {
	w := newWorld()
	s := w.service()
	begin(t, w, s, "- {name: db, failover: {job: db}}", recovery.Production)
	seen := 0
	w.looked = func(x *failoverrun.Run) {
		x.Goal, x.Phase = recovery.Back, recovery.Running
		if seen++; seen == 3 {
			x.Phase, x.Kind, x.Error = recovery.Failed, cdp.Conflict, "the host is out of memory"
		}
	}
	play(t, w, s, nil)
	if rec := w.last().Actions[0]; rec.Status != plan.GaveUp || !strings.Contains(rec.Text, "out of memory") {
		t.Errorf("%+v", rec)
	}
}

// Each retry of a failover whose VM failed a check makes the checks again. The VM is not
// started anew, and once they pass the run goes on.
func TestARetryChecksTheVMAgain(t *testing.T) {
	for _, mended := range []bool{true, false} {
		w := newWorld()
		s := w.service()
		w.mended = mended
		w.looked = func(x *failoverrun.Run) {
			if x.Job == "db" && x.CheckedAt.IsZero() {
				x.CheckFailed, x.CheckedAt = true, time.Unix(1, 0)
			}
		}
		begin(t, w, s, "- {name: db, retries: 2, retryEvery: 1ms, failover: {job: db, to: vm}}\n- {name: web, failover: {job: web, to: nbd}}", recovery.Production)
		play(t, w, s, nil)
		want, checks := plan.Succeeded, 1
		if !mended {
			want, checks = plan.Failed, 2
		}
		if w.last().Phase != want || w.effects["check db"] != checks || w.effects["production failover db"] != 1 {
			t.Errorf("mended %v: %+v %v", mended, w.last(), w.effects)
		}
	}
}

// A check that does not hold says what was seen. It gives up 200 ms after it began, and has
// 20 s to say so.
func TestAConditionThatDoesNotHoldSaysWhatItIs(t *testing.T) {
	for check, want := range map[string]string{
		"rpo: {job: db, below: 500ms}":            "it is 1s, and the limit 500ms",
		"point: {job: db, youngerThan: 30s}":      "it is 1m0s, and the limit 30s",
		"http: {url: \"http://x/\", status: 200}": "it answers with status 204, not 200",
		"reachable: prod":                         "nobody answers",
		"unreachable: dr":                         "its services answer",
		"vm: web01":                               "web01 was looked at",
		`status: {job: db, holds: "rpoSeconds < 30 and state == \"protected\""}`:     "only numbers can be compared with <: rpoSeconds is not known",
		`status: {job: db, holds: "state != \"protected\" or objectiveSeconds > 9"}`: `state is "protected", objectiveSeconds is 5`,
	} {
		w := newWorld()
		w.down = map[string]error{"web01": nil}
		s := w.service()
		begin(t, w, s, fmt.Sprintf("- {name: a, check: {%s}, timeout: 20200ms}", check), recovery.Production)
		play(t, w, s, nil)
		if rec := w.last().Actions[0]; rec.Status != plan.GaveUp || !strings.Contains(rec.Text, want) {
			t.Errorf("%s: %+v", check, rec)
		}
	}
}

// A check that is in progress when its run is paused is made for as long as the pause lasts:
// its time-out does not count.
func TestACheckDoesNotTimeOutWhileItsRunIsPaused(t *testing.T) {
	w := newWorld()
	w.rpo = time.Hour
	s := w.service()
	begin(t, w, s, "- {name: well, timeout: 22s, check: {rpo: {job: db, below: 1m}}}", recovery.Production) // 20 s of them are its margin
	ended := make(chan struct{})
	go func() { defer close(ended); play(t, w, s, nil) }()
	w.wait(t, "begun", func() bool { return w.run.Actions[0].Status == plan.Started })
	if err := send(t, s.HandleControl, event.PlanControl{Plan: "shop", Do: "pause"}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2500 * time.Millisecond)
	if rec := w.last().Actions[0]; rec.Status != plan.Started {
		t.Fatalf("%+v", rec)
	}
	w.mu.Lock()
	w.rpo = time.Second
	w.mu.Unlock()
	<-ended
	if r := w.last(); r.Phase != plan.Succeeded || !r.PausedAt.IsZero() {
		t.Errorf("%+v", r)
	}
}

func TestAPlanOfAnotherSiteAndARunningOneAreRefused(t *testing.T) {
	w := newWorld()
	s := w.service()
	begin(t, w, s, "- {name: sure, ask: {text: go on}}", recovery.Production)
	if err := send(t, s.HandleDelete, event.PlanDelete{Plan: "shop"}); !cdp.Is(err, cdp.Conflict) {
		t.Error(err)
	}
	if err := send(t, s.HandleRun, event.PlanRun{Plan: "shop", Run: "r2", Mode: recovery.Test}); !cdp.Is(err, cdp.Conflict) {
		t.Error(err)
	}
	far := parse(t, "- {name: a, wait: 1s}")
	far.Site = "prod"
	doc, err := spec.Document(spec.Object{Plan: &far})
	if err != nil {
		t.Fatal(err)
	}
	if err := send(t, s.HandleApply, event.PlanApply{Plan: "shop", Document: doc}); !cdp.Is(err, cdp.Invalid) || !strings.Contains(err.Error(), "/spec/site") {
		t.Error(err)
	}
}
