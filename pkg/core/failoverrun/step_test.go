package failoverrun_test

import (
	"slices"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/core/failoverrun"
)

func TestWhatIsRefusedWhen(t *testing.T) {
	ready := func(r failoverrun.Request) failoverrun.Run {
		s, _ := failoverrun.Begin(r, failoverrun.Pinned{}, nil, t0)
		for s.Phase != recovery.Ready {
			cur, _ := s.Current()
			s, _ = failoverrun.Step(s, failoverrun.Event{What: failoverrun.StepDone, Step: cur.Step, Result: failoverrun.Result{Resolved: &api.Resolved{Seq: 5}}})
		}
		return s
	}
	prod := ready(failoverrun.Request{Job: "web", ID: "r1", Mode: recovery.Production, To: recovery.ToFiles})
	if err := failoverrun.Admit(&prod, failoverrun.Request{Job: "web", ID: "r2"}); !cdp.Is(err, cdp.Conflict) || cdp.HintOf(err) == "" {
		t.Error("a second run:", err)
	}
	if err := failoverrun.Admit(&prod, failoverrun.Request{Job: "web", ID: "r1"}); !cdp.Is(err, cdp.Duplicate) {
		t.Error("the same run again:", err)
	}
	if err := prod.CheckAsk(recovery.Cleanup); !cdp.Is(err, cdp.Conflict) {
		t.Error("clean-up of production:", err)
	}
	s, _ := failoverrun.Step(prod, failoverrun.Event{What: failoverrun.Asked, Goal: recovery.Commit})
	if err := s.CheckAsk(recovery.Undo); !cdp.Is(err, cdp.Conflict) {
		t.Error("undo after commit began:", err)
	}
	s, _ = failoverrun.Step(s, failoverrun.Event{What: failoverrun.StepDone, Step: recovery.Seal})
	if s.Phase != recovery.Committed {
		t.Fatal(s.Phase)
	}
	if err := s.CheckAsk(recovery.Undo); !cdp.Is(err, cdp.Conflict) {
		t.Error("undo after commit:", err)
	}
	if err := s.CheckAsk(recovery.Commit); !cdp.Is(err, cdp.Duplicate) {
		t.Error("commit twice:", err)
	}
	test := ready(failoverrun.Request{Job: "web", ID: "r1", Mode: recovery.Test, To: recovery.ToNBD})
	if err := test.CheckAsk(recovery.Commit); !cdp.Is(err, cdp.Conflict) {
		t.Error("commit of a test:", err)
	}
}

func TestBadRequestsAreRefused(t *testing.T) {
	at := t0
	for _, r := range []failoverrun.Request{
		{Job: "Web", ID: "r", Mode: recovery.Test, To: recovery.ToNBD},
		{Job: "web", Mode: recovery.Test, To: recovery.ToNBD},
		{Job: "web", ID: "r", Mode: "x", To: recovery.ToNBD},
		{Job: "web", ID: "r", Mode: recovery.Test, To: recovery.ToFiles},
		{Job: "web", ID: "r", Mode: recovery.Production, To: recovery.ToNBD, Point: "p1", At: &at},
		{Job: "web", ID: "r", Mode: recovery.Production, To: recovery.ToNBD, Point: "p1", Planned: true},
		{Job: "web", ID: "r", Mode: recovery.Test, To: recovery.ToNBD, Planned: true},
		{Job: "web", ID: "r", Mode: recovery.Test, To: recovery.ToVM, Listen: "127.0.0.1:1"},
	} {
		if !cdp.Is(r.Check(), cdp.Invalid) {
			t.Errorf("%+v passed", r)
		}
	}
}

// What is done and reversed in a failover to a VM, in order. A check that fails
// leaves the VM running.
func TestStepsOfAFailoverToAVM(t *testing.T) {
	broken := cdp.Errorf(cdp.Invalid, "x", "", "broken")
	production := []recovery.Step{recovery.Halt, recovery.Resolve, recovery.Move, recovery.Release, recovery.Attach, recovery.Boot, recovery.Check}
	test := []recovery.Step{recovery.Resolve, recovery.Build, recovery.Fill, recovery.Attach, recovery.Boot, recovery.Check}
	for name, c := range map[string]struct {
		mode  recovery.Mode
		fails recovery.Step
		ask   recovery.Goal
		want  []recovery.Step
		phase recovery.Phase
	}{
		"undo":                  {recovery.Production, "", recovery.Undo, append(production[:7:7], recovery.Stop, recovery.Return, recovery.Resume), recovery.Undone},
		"commit":                {recovery.Production, "", recovery.Commit, append(production[:7:7], recovery.Keep, recovery.Seal), recovery.Committed},
		"cleanup":               {recovery.Test, "", recovery.Cleanup, append(test[:6:6], recovery.Stop, recovery.Remove), recovery.Cleaned},
		"a check is refused":    {recovery.Production, recovery.Check, recovery.Commit, append(production[:7:7], recovery.Keep, recovery.Seal), recovery.Committed},
		"no power":              {recovery.Production, recovery.Boot, "", append(production[:6:6], recovery.Stop, recovery.Return, recovery.Resume), recovery.Failed},
		"no attach":             {recovery.Production, recovery.Attach, "", append(production[:5:5], recovery.Return, recovery.Resume), recovery.Failed},
		"no release":            {recovery.Production, recovery.Release, "", append(production[:4:4], recovery.Resume), recovery.Failed},
		"no fill":               {recovery.Test, recovery.Fill, "", append(test[:3:3], recovery.Remove), recovery.Failed},
		"no attach, in a test":  {recovery.Test, recovery.Attach, "", append(test[:4:4], recovery.Remove), recovery.Failed},
		"no way back, at first": {recovery.Production, recovery.Return, recovery.Undo, append(production[:7:7], recovery.Stop, recovery.Return, recovery.Return, recovery.Resume), recovery.Undone},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			s, _ := failoverrun.Begin(failoverrun.Request{Job: "web", ID: "r1", Mode: c.mode, To: recovery.ToVM}, failoverrun.Pinned{}, nil, t0)
			var did []recovery.Step
			for !s.Over() {
				cur, busy := s.Current()
				if !busy {
					if s.Phase == recovery.Ready && s.CheckFailed != (c.fails == recovery.Check || w.head%2 != 0) {
						t.Errorf("check failed: %v", s.CheckFailed)
					}
					if err := s.CheckAsk(c.ask); err != nil {
						t.Fatal(err)
					}
					s, _ = failoverrun.Step(s, failoverrun.Event{What: failoverrun.Asked, Goal: c.ask, Now: t0})
					continue
				}
				did = append(did, cur.Step)
				e := failoverrun.Event{What: failoverrun.StepDone, Step: cur.Step, Now: t0}
				if cur.Step == c.fails {
					c.fails, e.What, e.Err = "", failoverrun.StepRefused, broken
					if cur.Step == recovery.Check {
						c.fails = recovery.Check
					}
				} else {
					var err error
					if e.Result, err = w.do(s, cur.Step); err != nil {
						t.Fatal(err)
					}
				}
				s, _ = failoverrun.Step(s, e)
			}
			if !slices.Equal(did, c.want) || s.Phase != c.phase {
				t.Errorf("%s after %v, want %s after %v", s.Phase, did, c.phase, c.want)
			}
			if err := w.over(s); err != nil {
				t.Error(err)
			}
		})
	}
}
