package failoverrun_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/core/failoverrun"
)

var t0 = time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)

func anyRequest(t *rapid.T) failoverrun.Request {
	r := failoverrun.Request{Job: "web", ID: "r1", Mode: recovery.Production, To: recovery.ToNBD}
	switch rapid.IntRange(0, 4).Draw(t, "kind") {
	case 0:
		r.Mode = recovery.Test
	case 1:
		r.To = recovery.ToFiles
	case 2:
		r.To = recovery.ToVM
	case 3:
		r.Mode, r.To = recovery.Test, recovery.ToVM
	}
	r.Planned = r.Mode == recovery.Production && rapid.Bool().Draw(t, "planned")
	return r
}

// slow are the steps that are asked again until they are done.
var slow = []recovery.Step{recovery.Move, recovery.Absorb, recovery.Build, recovery.Fill, recovery.Attach, recovery.Boot, recovery.Check, recovery.Stop, recovery.Return, recovery.Keep, recovery.Remove}

// TestInterruptedAnywhere drives runs through a world in which the driver is
// killed before it wrote the state, before it did the step and before it noted
// the answer; steps fail for a while or for good; and operators change their
// minds. Each effect happens once, and no run ends in the middle.
func TestInterruptedAnywhere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld()
		req := anyRequest(t)
		if err := req.Check(); err != nil {
			t.Fatal(err)
		}
		kept, todo := failoverrun.Begin(req, failoverrun.Pinned{}, t0) // kept: what is on disk
		calm := false
		apply := func(e failoverrun.Event) {
			e.Now = t0
			was := kept.Resolved
			next, cmds := failoverrun.Step(kept, e)
			if !calm && rapid.IntRange(0, 9).Draw(t, "kill before write") == 0 {
				todo = []failoverrun.Command{{}}
				return
			}
			kept, todo = next, cmds
			if was != nil && *kept.Resolved != *was {
				t.Fatal("the point was chosen twice")
			}
		}
		for n := 0; ; n++ {
			calm = n > 60
			if n > 400 {
				t.Fatalf("the run does not end: %+v", kept)
			}
			w.live()
			if err := w.check(kept); err != nil {
				t.Fatal(err)
			}
			if kept.Over() {
				if err := w.over(kept); err != nil {
					t.Fatal(err)
				}
				return
			}
			if _, busy := kept.Current(); !busy || !calm && rapid.IntRange(0, 19).Draw(t, "ask") == 0 {
				goals := []recovery.Goal{recovery.Cleanup, recovery.Undo, recovery.Commit}
				g := rapid.SampledFrom(goals).Draw(t, "goal")
				if err := kept.CheckAsk(g); err == nil {
					apply(failoverrun.Event{What: failoverrun.Asked, Goal: g})
				} else if next, cmds := failoverrun.Step(kept, failoverrun.Event{What: failoverrun.Asked, Goal: g}); len(cmds) > 0 || next.Next != kept.Next || next.Goal != kept.Goal {
					t.Fatalf("refused, but changed: %v", err)
				}
				if _, busy := kept.Current(); !busy {
					continue
				}
			}
			var do recovery.Step
			for _, c := range todo {
				if c.Do != "" {
					do = c.Do
				}
			}
			if do == "" || !calm && rapid.IntRange(0, 9).Draw(t, "kill before do") == 0 {
				apply(failoverrun.Event{What: failoverrun.Resumed})
				continue
			}
			fate := 9
			if !calm {
				fate = rapid.IntRange(0, 12).Draw(t, "fate")
			}
			if fate == 0 {
				apply(failoverrun.Event{What: failoverrun.StepRefused, Step: do, Err: cdp.Errorf(cdp.Transient, "x", "", "later")})
				continue
			}
			res, err := w.do(kept, do)
			ev := failoverrun.Event{What: failoverrun.StepDone, Step: do, Result: res}
			switch {
			case err != nil:
				t.Fatalf("%s: %v", do, err)
			case fate == 1: // it took effect, but the answer is an error for good
				ev = failoverrun.Event{What: failoverrun.StepRefused, Step: do, Err: cdp.Errorf(cdp.Internal, "x", "", "broken")}
			case fate == 2:
				todo = nil // killed before the answer was noted
				continue
			case fate == 3 && slices.Contains(slow, do):
				ev.What = failoverrun.StepMoved
			}
			apply(ev)
		}
	})
}

// TestTwoRuns: starters that race for one record, each writing only over what
// it looked at, never both proceed.
func TestTwoRuns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var rec *failoverrun.Run
		rev := 0
		begun := map[string]bool{}
		type look struct {
			old *failoverrun.Run
			rev int
		}
		looks := map[string]look{}
		for range rapid.IntRange(1, 60).Draw(t, "n") {
			run := rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "run")
			switch rapid.IntRange(0, 2).Draw(t, "act") {
			case 0:
				looks[run] = look{rec, rev}
			case 1:
				l, ok := looks[run]
				r := failoverrun.Request{Job: "web", ID: run, Mode: recovery.Test, To: recovery.ToNBD}
				if ok && l.rev == rev && failoverrun.Admit(l.old, r) == nil {
					if rec != nil && !rec.Over() {
						t.Fatalf("%s began beside %s", run, rec.ID)
					}
					s, _ := failoverrun.Begin(r, failoverrun.Pinned{}, t0)
					rec, rev = &s, rev+1
					begun[run] = true
				}
			case 2: // the run at hand fails at its first step, and is over
				if rec != nil {
					cur, busy := rec.Current()
					if busy {
						s, _ := failoverrun.Step(*rec, failoverrun.Event{What: failoverrun.StepRefused, Step: cur.Step, Err: cdp.Errorf(cdp.NotFound, "x", "", "no")})
						rec, rev = &s, rev+1
					}
				}
			}
		}
	})
}

func TestRefusals(t *testing.T) {
	ready := func(r failoverrun.Request) failoverrun.Run {
		s, _ := failoverrun.Begin(r, failoverrun.Pinned{}, t0)
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

// TestToVM: what is done and taken back in each case, in order, and a check that
// fails leaves the VM running.
func TestToVM(t *testing.T) {
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
			s, _ := failoverrun.Begin(failoverrun.Request{Job: "web", ID: "r1", Mode: c.mode, To: recovery.ToVM}, failoverrun.Pinned{}, t0)
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
