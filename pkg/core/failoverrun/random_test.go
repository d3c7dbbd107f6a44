package failoverrun_test

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/spec"
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
	if r.Mode == recovery.Production {
		r.CommitPolicy = rapid.SampledFrom([]recovery.Policy{"", recovery.PolicyCommit, recovery.PolicyUndo}).Draw(t, "policy")
	}
	return r
}

// slow are the steps that are requested again until they are done.
var slow = []recovery.Step{recovery.Move, recovery.Absorb, recovery.Build, recovery.Fill, recovery.Attach, recovery.Boot, recovery.Check, recovery.Stop, recovery.Return, recovery.Keep, recovery.Remove}

// A driver that is killed before it stored the run, before it did the step and
// before it noted the answer; steps that fail for a while or for good; operators
// who change their minds: each effect happens once, and no run ends in the middle.
func TestAnInterruptedRunHasEachEffectOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		req := anyRequest(t)
		if err := req.Check(); err != nil {
			t.Fatal(err)
		}
		d := &driver{T: t, w: newWorld(), now: t0}
		d.stored, d.todo = failoverrun.Begin(req, ofVM(), nil, t0)
		for n := 0; ; n++ {
			d.calm = n > 60
			if n > 400 {
				t.Fatalf("the run does not end: %+v", d.stored)
			}
			d.w.live()
			if err := d.w.check(d.stored); err != nil {
				t.Fatal(err)
			}
			d.settle()
			d.pass()
			if _, owed := d.stored.Owed(); d.stored.Over() && !owed {
				if err := d.w.over(d.stored); err != nil {
					t.Fatal(err)
				}
				return
			}
			if d.ask(); d.busy() {
				d.do()
			}
		}
	})
}

// ofVM is a job on a VM of a vCenter.
func ofVM() failoverrun.Pinned {
	return failoverrun.Pinned{Spec: spec.ReplicationJob{Source: spec.Source{Site: "prod", VM: "u1"}}}
}

// settle does what is owed at the source, unless that does not answer; and a request that
// was made before may come once more, late.
func (d *driver) settle() {
	if len(d.asked) > 0 && d.oneIn(8, "late request") {
		if err := d.w.fence(rapid.SampledFrom(d.asked).Draw(d.T, "which")); err != nil {
			d.Fatal(err)
		}
	}
	owed, ok := d.stored.Owed()
	if !ok || d.oneIn(2, "no answer") {
		return
	}
	d.asked = append(d.asked, d.stored.FenceRequest())
	if err := d.w.fence(d.stored.FenceRequest()); err != nil {
		d.Fatal(err)
	}
	if d.oneIn(4, "answer lost") {
		return
	}
	todo := d.todo
	d.apply(failoverrun.Event{What: failoverrun.FenceDone, Turn: owed.Turn, Text: "done"})
	d.todo = todo // of the run, which does not wait for this
}

// driver drives a run in a world of faults; when calm there are none.
type driver struct {
	*rapid.T
	w      *world
	stored failoverrun.Run
	todo   []failoverrun.Command
	calm   bool
	asked  []api.FenceRequest
	now    time.Time
}

func (d *driver) busy() bool { _, busy := d.stored.Current(); return busy }

// oneIn is true once in n times, unless it is calm.
func (d *driver) oneIn(n int, what string) bool {
	return !d.calm && rapid.IntRange(0, n-1).Draw(d.T, what) == 0
}

// apply applies an event and stores the run, unless it is killed before.
func (d *driver) apply(e failoverrun.Event) {
	e.Now = d.now
	was := d.stored.Resolved
	next, cmds := failoverrun.Step(d.stored, e)
	if d.oneIn(10, "kill before write") {
		d.todo = []failoverrun.Command{{}}
		return
	}
	d.stored, d.todo = next, cmds
	if was != nil && !reflect.DeepEqual(*d.stored.Resolved, *was) {
		d.Fatal("the point was chosen twice")
	}
}

// ask is an operator who asks for something when the run rests, and at times
// when it does not.
func (d *driver) ask() {
	if d.busy() && !d.oneIn(20, "ask") || d.stored.Window != nil && !d.oneIn(6, "ask at rest") && !d.calm {
		return
	}
	if d.stored.CheckRecheck() == nil && d.oneIn(4, "check again") {
		d.apply(failoverrun.Event{What: failoverrun.RecheckAsked})
		return
	}
	g := rapid.SampledFrom([]recovery.Goal{recovery.Cleanup, recovery.Undo, recovery.Commit}).Draw(d.T, "goal")
	e := failoverrun.Event{What: failoverrun.Asked, Goal: g}
	if v := rapid.SampledFrom([]cdp.Verdict{"", cdp.Passed, cdp.Failed}).Draw(d.T, "verdict"); v != "" {
		e.Verdict = &failoverrun.Verdict{Verdict: v, Note: string(v)}
	}
	if err := d.stored.CheckAsk(g); err == nil {
		d.apply(e)
	} else if next, cmds := failoverrun.Step(d.stored, e); len(cmds) > 0 || next.Next != d.stored.Next || next.Goal != d.stored.Goal {
		d.Fatalf("refused, but changed: %v", err)
	}
}

// do does the step at hand, if the driver lives long enough.
func (d *driver) do() {
	var step recovery.Step
	for _, c := range d.todo {
		if c.Do != "" {
			step = c.Do
		}
	}
	if step == "" || d.oneIn(10, "kill before do") {
		d.apply(failoverrun.Event{What: failoverrun.Resumed})
		return
	}
	fate := 9
	if !d.calm {
		fate = rapid.IntRange(0, 12).Draw(d.T, "fate")
	}
	if fate == 0 {
		d.apply(failoverrun.Event{What: failoverrun.StepRefused, Step: step, Err: cdp.Errorf(cdp.Transient, "x", "", "later")})
		return
	}
	if step == recovery.FenceVM {
		d.asked = append(d.asked, d.stored.FenceRequest())
	}
	res, err := d.w.do(d.stored, step)
	if err != nil {
		d.Fatalf("%s: %v", step, err)
	}
	e := failoverrun.Event{What: failoverrun.StepDone, Step: step, Result: res}
	switch {
	case fate == 1: // it had its effect, but the answer is an error for good
		e = failoverrun.Event{What: failoverrun.StepRefused, Step: step, Err: cdp.Errorf(cdp.Internal, "x", "", "broken")}
	case fate == 2:
		d.todo = nil // killed before the answer was noted
		return
	case fate == 3 && slices.Contains(slow, step):
		e.What = failoverrun.StepMoved
	}
	d.apply(e)
}

// Of starters that race for one record, each replacing only the revision it read,
// no two proceed.
func TestTwoRunsOfAJobNeverBothBegin(t *testing.T) {
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
						t.Fatalf("%s began while %s was in progress", run, rec.ID)
					}
					s, _ := failoverrun.Begin(r, failoverrun.Pinned{}, nil, t0)
					rec, rev = &s, rev+1
					begun[run] = true
				}
			case 2: // the run fails at its first step, and is over
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
