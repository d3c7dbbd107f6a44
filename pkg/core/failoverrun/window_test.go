package failoverrun_test

import (
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/failoverrun"
)

// However late the warning comes, people have the time that they were promised.
func TestALateWarningMovesTheEnd(t *testing.T) {
	run := ready(t, failoverrun.Request{CommitPolicy: recovery.PolicyUndo, CommitWindow: spec.Duration(20 * time.Minute)})
	at, warn, ok := run.Due()
	if !ok || !warn || !at.Equal(t0.Add(10*time.Minute)) {
		t.Fatal(at, warn, ok)
	}
	late := t0.Add(9 * time.Hour)
	run, _ = failoverrun.Step(run, failoverrun.Event{What: failoverrun.WindowWarned, Now: late})
	if at, warn, _ := run.Due(); warn || !at.Equal(late.Add(10*time.Minute)) {
		t.Errorf("%v, %v", at, warn)
	}
	for now, want := range map[time.Time]recovery.Goal{late.Add(9 * time.Minute): recovery.Recover, late.Add(10 * time.Minute): recovery.Undo} {
		if next, _ := failoverrun.Step(run, failoverrun.Event{What: failoverrun.WindowEnded, Now: now}); next.Goal != want {
			t.Errorf("%s later the goal is %s, want %s", now.Sub(late), next.Goal, want)
		}
	}
}

// A person decides about a VM whose checks did not pass.
func TestAFailedCheckIsNotCommittedByItself(t *testing.T) {
	run := ready(t, failoverrun.Request{CommitPolicy: recovery.PolicyCommit})
	if err := run.CheckEnd(); err != nil {
		t.Error(err)
	}
	run.CheckFailed = true
	if err := run.CheckEnd(); !cdp.Is(err, cdp.Conflict) || !strings.Contains(cdp.HintOf(err), "tidemark failover undo web") {
		t.Error(err)
	}
	run.CommitPolicy = recovery.PolicyUndo
	if err := run.CheckEnd(); err != nil {
		t.Error(err)
	}
}

// A request that says nothing takes the policy of the job, and a test takes none.
func TestTheJobSaysHowItsFailoversEnd(t *testing.T) {
	rules := spec.Failover{CommitPolicy: recovery.PolicyUndo, CommitWindow: spec.Duration(2 * time.Hour)}
	job := failoverrun.Pinned{Spec: spec.ReplicationJob{Name: "web", Failover: rules}}
	for _, c := range []struct {
		mode  recovery.Mode
		asked recovery.Policy
		want  spec.Failover
	}{
		{recovery.Production, "", rules},
		{recovery.Production, recovery.PolicyNone, spec.Failover{CommitPolicy: recovery.PolicyNone}},
		{recovery.Production, recovery.PolicyCommit, spec.Failover{CommitPolicy: recovery.PolicyCommit}},
		{recovery.Test, "", spec.Failover{}},
	} {
		run, _ := failoverrun.Begin(failoverrun.Request{Job: "web", ID: "r", Mode: c.mode, To: recovery.ToNBD, CommitPolicy: c.asked}, job, nil, t0)
		if got := (spec.Failover{CommitPolicy: run.CommitPolicy, CommitWindow: run.CommitWindow}); got != c.want {
			t.Errorf("%s, asked for %q: %+v, want %+v", c.mode, c.asked, got, c.want)
		}
	}
}

func TestTheWindowIsChecked(t *testing.T) {
	for window, ok := range map[time.Duration]bool{0: true, time.Minute: false, 5 * time.Minute: true, 24 * time.Hour: true, 25 * time.Hour: false} {
		if err := failoverrun.CheckPolicy(recovery.PolicyUndo, spec.Duration(window)); (err == nil) != ok {
			t.Errorf("%s: %v", window, err)
		}
	}
	for _, p := range []recovery.Policy{"", recovery.PolicyNone, "later"} {
		if err := failoverrun.CheckPolicy(p, spec.Duration(time.Hour)); !cdp.Is(err, cdp.Invalid) {
			t.Errorf("%q with a window: %v", p, err)
		}
	}
	test := failoverrun.Request{Job: "web", ID: "t", Mode: recovery.Test, To: recovery.ToNBD, CommitPolicy: recovery.PolicyUndo}
	if err := test.Check(); !cdp.Is(err, cdp.Invalid) || !strings.Contains(err.Error(), "commitPolicy") {
		t.Error(err)
	}
}

// ready is a run to NBD that became ready at t0.
func ready(t *testing.T, r failoverrun.Request) failoverrun.Run {
	t.Helper()
	r.Job, r.ID, r.Mode, r.To = "web", "r1", recovery.Production, recovery.ToNBD
	run, _ := failoverrun.Begin(r, failoverrun.Pinned{}, nil, t0)
	w := newWorld()
	for {
		cur, busy := run.Current()
		if !busy {
			return run
		}
		res, err := w.do(run, cur.Step)
		if err != nil {
			t.Fatal(err)
		}
		run, _ = failoverrun.Step(run, failoverrun.Event{What: failoverrun.StepDone, Step: cur.Step, Result: res, Now: t0})
	}
}
