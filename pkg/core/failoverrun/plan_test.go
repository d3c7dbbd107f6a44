package failoverrun_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/core/failoverrun"
)

var t0 = time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)

func anyRequest(t *rapid.T) failoverrun.Request {
	r := failoverrun.Request{Job: "web", Run: "r1", Mode: "production", To: "nbd"}
	switch rapid.IntRange(0, 4).Draw(t, "kind") {
	case 0:
		r.Mode = "test"
	case 1:
		r.To = "files"
	case 2:
		r.To = "vm"
	case 3:
		r.Mode, r.To = "test", "vm"
	}
	r.Planned = r.Mode == "production" && rapid.Bool().Draw(t, "planned")
	return r
}

// slow are the steps that are asked again until they are done.
var slow = []failoverrun.Room{failoverrun.Move, failoverrun.Absorb, failoverrun.Build, failoverrun.Fill, failoverrun.Attach, failoverrun.Boot, failoverrun.Check, failoverrun.Stop, failoverrun.Return, failoverrun.Keep, failoverrun.Remove}

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
		kept, todo := failoverrun.Begin(req, t0) // kept: what is on disk
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
				goals := []failoverrun.Goal{failoverrun.Cleanup, failoverrun.Undo, failoverrun.Commit}
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
			var do failoverrun.Room
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
				apply(failoverrun.Event{What: failoverrun.StepRefused, Room: do, Err: cdp.Errorf(cdp.Transient, "x", "", "later")})
				continue
			}
			res, err := w.do(kept, do)
			ev := failoverrun.Event{What: failoverrun.StepDone, Room: do, Result: res}
			switch {
			case err != nil:
				t.Fatalf("%s: %v", do, err)
			case fate == 1: // it took effect, but the answer is an error for good
				ev = failoverrun.Event{What: failoverrun.StepRefused, Room: do, Err: cdp.Errorf(cdp.Internal, "x", "", "broken")}
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
		var rec *failoverrun.State
		rev := 0
		begun := map[string]bool{}
		type look struct {
			old *failoverrun.State
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
				r := failoverrun.Request{Job: "web", Run: run, Mode: "test", To: "nbd"}
				if ok && l.rev == rev && failoverrun.Admit(l.old, r) == nil {
					if rec != nil && !rec.Over() {
						t.Fatalf("%s began beside %s", run, rec.Run)
					}
					s, _ := failoverrun.Begin(r, t0)
					rec, rev = &s, rev+1
					begun[run] = true
				}
			case 2: // the run at hand fails at its first step, and is over
				if rec != nil {
					cur, busy := rec.Current()
					if busy {
						s, _ := failoverrun.Step(*rec, failoverrun.Event{What: failoverrun.StepRefused, Room: cur.Room, Err: cdp.Errorf(cdp.NotFound, "x", "", "no")})
						rec, rev = &s, rev+1
					}
				}
			}
		}
	})
}

func TestRefusals(t *testing.T) {
	ready := func(r failoverrun.Request) failoverrun.State {
		s, _ := failoverrun.Begin(r, t0)
		for s.Phase != failoverrun.Ready {
			cur, _ := s.Current()
			s, _ = failoverrun.Step(s, failoverrun.Event{What: failoverrun.StepDone, Room: cur.Room, Result: failoverrun.Result{Resolved: &api.Resolved{Seq: 5}}})
		}
		return s
	}
	prod := ready(failoverrun.Request{Job: "web", Run: "r1", Mode: "production", To: "files"})
	if err := failoverrun.Admit(&prod, failoverrun.Request{Job: "web", Run: "r2"}); !cdp.Is(err, cdp.Conflict) || cdp.HintOf(err) == "" {
		t.Error("a second run:", err)
	}
	if err := failoverrun.Admit(&prod, failoverrun.Request{Job: "web", Run: "r1"}); !cdp.Is(err, cdp.Duplicate) {
		t.Error("the same run again:", err)
	}
	if err := prod.CheckAsk(failoverrun.Cleanup); !cdp.Is(err, cdp.Conflict) {
		t.Error("clean-up of production:", err)
	}
	s, _ := failoverrun.Step(prod, failoverrun.Event{What: failoverrun.Asked, Goal: failoverrun.Commit})
	if err := s.CheckAsk(failoverrun.Undo); !cdp.Is(err, cdp.Conflict) {
		t.Error("undo after commit began:", err)
	}
	s, _ = failoverrun.Step(s, failoverrun.Event{What: failoverrun.StepDone, Room: failoverrun.Seal})
	if s.Phase != failoverrun.Committed {
		t.Fatal(s.Phase)
	}
	if err := s.CheckAsk(failoverrun.Undo); !cdp.Is(err, cdp.Conflict) {
		t.Error("undo after commit:", err)
	}
	if err := s.CheckAsk(failoverrun.Commit); !cdp.Is(err, cdp.Duplicate) {
		t.Error("commit twice:", err)
	}
	test := ready(failoverrun.Request{Job: "web", Run: "r1", Mode: "test", To: "nbd"})
	if err := test.CheckAsk(failoverrun.Commit); !cdp.Is(err, cdp.Conflict) {
		t.Error("commit of a test:", err)
	}
	at := t0
	for _, r := range []failoverrun.Request{
		{Job: "Web", Run: "r", Mode: "test", To: "nbd"},
		{Job: "web", Mode: "test", To: "nbd"},
		{Job: "web", Run: "r", Mode: "x", To: "nbd"},
		{Job: "web", Run: "r", Mode: "test", To: "files"},
		{Job: "web", Run: "r", Mode: "production", To: "nbd", Point: "p1", At: &at},
		{Job: "web", Run: "r", Mode: "production", To: "nbd", Point: "p1", Planned: true},
		{Job: "web", Run: "r", Mode: "test", To: "nbd", Planned: true},
		{Job: "web", Run: "r", Mode: "test", To: "vm", Listen: "127.0.0.1:1"},
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
	production := []failoverrun.Room{failoverrun.Halt, failoverrun.Resolve, failoverrun.Move, failoverrun.Release, failoverrun.Attach, failoverrun.Boot, failoverrun.Check}
	test := []failoverrun.Room{failoverrun.Resolve, failoverrun.Build, failoverrun.Fill, failoverrun.Attach, failoverrun.Boot, failoverrun.Check}
	for name, c := range map[string]struct {
		mode  event.FailoverMode
		fails failoverrun.Room
		ask   failoverrun.Goal
		want  []failoverrun.Room
		phase failoverrun.Phase
	}{
		"undo":                  {"production", "", failoverrun.Undo, append(production[:7:7], failoverrun.Stop, failoverrun.Return, failoverrun.Resume), failoverrun.Undone},
		"commit":                {"production", "", failoverrun.Commit, append(production[:7:7], failoverrun.Keep, failoverrun.Seal), failoverrun.Committed},
		"cleanup":               {"test", "", failoverrun.Cleanup, append(test[:6:6], failoverrun.Stop, failoverrun.Remove), failoverrun.Cleaned},
		"a check is refused":    {"production", failoverrun.Check, failoverrun.Commit, append(production[:7:7], failoverrun.Keep, failoverrun.Seal), failoverrun.Committed},
		"no power":              {"production", failoverrun.Boot, "", append(production[:6:6], failoverrun.Stop, failoverrun.Return, failoverrun.Resume), failoverrun.Failed},
		"no attach":             {"production", failoverrun.Attach, "", append(production[:5:5], failoverrun.Return, failoverrun.Resume), failoverrun.Failed},
		"no release":            {"production", failoverrun.Release, "", append(production[:4:4], failoverrun.Resume), failoverrun.Failed},
		"no fill":               {"test", failoverrun.Fill, "", append(test[:3:3], failoverrun.Remove), failoverrun.Failed},
		"no attach, in a test":  {"test", failoverrun.Attach, "", append(test[:4:4], failoverrun.Remove), failoverrun.Failed},
		"no way back, at first": {"production", failoverrun.Return, failoverrun.Undo, append(production[:7:7], failoverrun.Stop, failoverrun.Return, failoverrun.Return, failoverrun.Resume), failoverrun.Undone},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			s, _ := failoverrun.Begin(failoverrun.Request{Job: "web", Run: "r1", Mode: c.mode, To: "vm"}, t0)
			var did []failoverrun.Room
			for !s.Over() {
				cur, busy := s.Current()
				if !busy {
					if s.Phase == failoverrun.Ready && s.CheckFailed != (c.fails == failoverrun.Check || w.head%2 != 0) {
						t.Errorf("check failed: %v", s.CheckFailed)
					}
					if err := s.CheckAsk(c.ask); err != nil {
						t.Fatal(err)
					}
					s, _ = failoverrun.Step(s, failoverrun.Event{What: failoverrun.Asked, Goal: c.ask, Now: t0})
					continue
				}
				did = append(did, cur.Room)
				e := failoverrun.Event{What: failoverrun.StepDone, Room: cur.Room, Now: t0}
				if cur.Room == c.fails {
					c.fails, e.What, e.Err = "", failoverrun.StepRefused, broken
					if cur.Room == failoverrun.Check {
						c.fails = failoverrun.Check
					}
				} else {
					var err error
					if e.Result, err = w.do(s, cur.Room); err != nil {
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
