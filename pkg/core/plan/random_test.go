package plan_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/plan"
)

var t0 = time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)

// anyPlan is a plan of all kinds of actions, with dependencies on earlier ones.
func anyPlan(t *rapid.T) spec.Plan {
	p := spec.Plan{Name: "shop", Site: "dr"}
	n := rapid.IntRange(1, 7).Draw(t, "actions")
	for i := range n {
		job := fmt.Sprintf("job%d", i)
		a := spec.Action{
			Name: fmt.Sprintf("a%d", i), After: []string{}, RetryEvery: spec.Duration(10 * time.Second), Timeout: spec.Duration(time.Minute),
			Mode:       rapid.SampledFrom([]spec.ActionMode{spec.InBoth, spec.InBoth, spec.InTest, spec.InProduction}).Draw(t, "mode"),
			Critical:   rapid.Bool().Draw(t, "critical"),
			Background: rapid.IntRange(0, 3).Draw(t, "background") == 0,
			Retries:    rapid.IntRange(0, 2).Draw(t, "retries"),
		}
		switch rapid.IntRange(0, 8).Draw(t, "verb") {
		case 0, 1:
			a.Failover = &spec.FailoverAction{Job: job}
		case 2:
			a.StopJob = &spec.JobAction{Job: job}
		case 3:
			a.RunJob = &spec.JobAction{Job: job}
		case 4:
			a.Script = &spec.Script{File: "x"}
		case 5:
			a.Wait = spec.Duration(5 * time.Second)
		case 6:
			a.Ask = &spec.Question{Text: "go on?", Default: rapid.SampledFrom([]spec.Answer{spec.Approve, spec.Refuse}).Draw(t, "default")}
		case 7:
			a.Power = &spec.PowerAction{VM: job, Do: rapid.SampledFrom([]inventory.PowerChange{inventory.PowerStart, inventory.PowerShutdown}).Draw(t, "power")}
		case 8:
			a.Email = &spec.Email{To: []string{"ops@example.com"}}
		}
		for k := range i {
			if rapid.Bool().Draw(t, "after") {
				a.After = append(a.After, fmt.Sprintf("a%d", k))
			}
		}
		p.Actions = append(p.Actions, a)
	}
	return p
}

// The driver is killed before it stored the run, before it did a task and before it
// noted the answer; answers come twice and late; tasks fail; an operator pauses,
// skips, retries and cancels. Each attempt has its effect at most once, nothing
// begins before what it waits for, every run ends, and a test leaves nothing.
func TestAnInterruptedRunHasEachEffectOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mode := rapid.SampledFrom([]recovery.Mode{recovery.Test, recovery.Production}).Draw(t, "run mode")
		d := &driver{T: t, now: t0, w: newWorld(rapid.Uint64().Draw(t, "running"))}
		d.stored = plan.Begin(plan.Request{Plan: "shop", ID: "r1", Mode: mode}, 1, anyPlan(t), d.now)
		d.apply(plan.Event{What: plan.Resumed})
		for n := 0; !d.stored.Over(); n++ {
			d.calm = n > 150
			if n > 2000 {
				t.Fatalf("the run does not end: %+v", d.stored)
			}
			d.turn()
			d.w.check(d)
		}
		d.w.over(d)
	})
}

// driver drives a run in a world of faults; when calm there are none.
type driver struct {
	*rapid.T
	w      *world
	stored plan.Run
	now    time.Time
	calm   bool
	late   []plan.Event // answers that have been given once
}

func (d *driver) oneIn(n int, what string) bool {
	return !d.calm && rapid.IntRange(0, n-1).Draw(d.T, what) == 0
}

// apply applies an event and stores the run. Killed before, it resumes.
func (d *driver) apply(e plan.Event) {
	e.Now = d.now
	next, _ := plan.Step(d.stored, e)
	if d.oneIn(12, "kill before write") {
		next, _ = plan.Step(d.stored, plan.Event{What: plan.Resumed, Now: d.now})
	}
	d.stored = next
}

// turn is one thing that happens.
func (d *driver) turn() {
	d.now = d.now.Add(time.Second)
	tasks := d.stored.Tasks()
	switch {
	case d.oneIn(10, "kill"):
		d.apply(plan.Event{What: plan.Resumed})
	case d.oneIn(8, "ask"):
		d.ask()
	case len(d.late) > 0 && d.oneIn(6, "late"):
		d.apply(rapid.SampledFrom(d.late).Draw(d.T, "answer"))
	case len(tasks) > 0 && !d.oneIn(5, "slow"):
		d.do(rapid.SampledFrom(tasks).Draw(d.T, "task"))
	case !d.stored.Wake().IsZero():
		if d.stored.Wake().After(d.now) {
			d.now = d.stored.Wake()
		}
		d.apply(plan.Event{What: plan.Tick})
	case d.stored.Phase == plan.Paused:
		d.stored, _ = plan.Step(d.stored, plan.Event{What: plan.Asked, Ask: plan.Ask{Verb: plan.Resume}, Now: d.now})
		d.apply(plan.Event{What: plan.Tick})
	case len(tasks) == 0:
		d.Fatalf("nothing is in progress and nothing is due: %+v", d.stored)
	}
}

func (d *driver) ask() {
	a := plan.Ask{By: "ann", Verb: rapid.SampledFrom([]plan.Verb{plan.Pause, plan.Resume, plan.Skip, plan.Retry, plan.Approve, plan.Refuse, plan.Cancel}).Draw(d.T, "verb")}
	a.Action = d.stored.Actions[rapid.IntRange(0, len(d.stored.Actions)-1).Draw(d.T, "of")].Name
	e := plan.Event{What: plan.Asked, Ask: a, Now: d.now}
	if err := d.stored.CheckAsk(a); err == nil {
		d.stored, _ = plan.Step(d.stored, e)
		d.apply(plan.Event{What: plan.Tick})
	} else if next, cmds := plan.Step(d.stored, e); len(cmds) > 0 || next.Phase != d.stored.Phase {
		d.Fatalf("refused, but changed: %v", err)
	}
}

// do does a task, if the driver lives long enough.
func (d *driver) do(task plan.Task) {
	e := plan.Event{What: plan.Finished, Task: task}
	fate := 9
	if !d.calm {
		fate = rapid.IntRange(0, 12).Draw(d.T, "fate")
	}
	if fate == 0 { // it fails before it had its effect
		e.What, e.Err = plan.Refused, cdp.Errorf(cdp.Transient, "x", "", "later")
		d.apply(e)
		return
	}
	was := d.w.do(d, task)
	switch {
	case task.Work == plan.Look:
		e.What, e.Was = plan.Looked, was
	case fate == 1:
		e.What, e.Err = plan.Refused, cdp.Errorf(cdp.Internal, "x", "", "broken")
	case fate == 2: // killed before the answer was noted
		d.apply(plan.Event{What: plan.Resumed})
		return
	}
	d.late = append(d.late, e)
	d.apply(e)
}

// world is what the actions change.
type world struct {
	was, running map[string]bool   // jobs, and VMs that are on
	failovers    map[string]string // by job, the reference that made it
	once         map[string]int    // effects that cannot be repeated, by reference
}

// newWorld has jobs of which some run.
func newWorld(bits uint64) *world {
	w := &world{was: map[string]bool{}, running: map[string]bool{}, failovers: map[string]string{}, once: map[string]int{}}
	for i := range 7 {
		job := fmt.Sprintf("job%d", i)
		w.was[job], w.running[job] = bits>>i&1 == 1, bits>>i&1 == 1
	}
	return w
}

// do has the effect of a task. It reports whether the task's job was running, or its VM on.
func (w *world) do(d *driver, task plan.Task) bool {
	a := d.stored.Action(task.Action)
	job := a.Job()
	if a.Power != nil {
		job = a.Power.VM
	}
	was := w.running[job]
	switch clean := task.Work == plan.CleanUp; {
	case task.Work == plan.Look:
	case a.Failover != nil && clean:
		delete(w.failovers, job)
	case a.Failover != nil:
		w.failovers[job] = d.stored.Prefix(a.Name) // adopted by a later attempt
	case a.StopJob != nil:
		w.running[job] = clean
	case a.RunJob != nil:
		w.running[job] = !clean
	case a.Power != nil:
		w.running[job] = (a.Power.Do == inventory.PowerStart) != clean
	case a.Script != nil, a.Email != nil:
		w.once[d.stored.Ref(a.Name, task.Attempt)]++
	}
	return was
}

// check is what always holds.
func (w *world) check(d *driver) {
	for ref, n := range w.once {
		if n > 1 {
			d.Fatalf("%s took effect %d times", ref, n)
		}
	}
	for i, rec := range d.stored.Actions {
		if rec.Order == 0 {
			continue
		}
		if !d.stored.Spec.Actions[i].Mode.In(d.stored.Mode) {
			d.Fatalf("%s began in a run of mode %s", rec.Name, d.stored.Mode)
		}
		for _, name := range d.stored.Spec.Actions[i].After {
			k := slices.IndexFunc(d.stored.Actions, func(r plan.Record) bool { return r.Name == name })
			if d.stored.Actions[k].Status == plan.Pending {
				d.Fatalf("%s began before %s", rec.Name, name)
			}
		}
	}
}

// over is what holds when the run is over.
func (w *world) over(d *driver) {
	left := slices.ContainsFunc(d.stored.Actions, func(r plan.Record) bool { return r.Clean != nil && r.Clean.Status == plan.GaveUp })
	if d.stored.Mode != recovery.Test || left {
		return
	}
	if len(w.failovers) > 0 {
		d.Fatalf("the test left failovers: %v", w.failovers)
	}
	for job, was := range w.was {
		if w.running[job] != was {
			d.Fatalf("the test left %s running=%t, and it was %t", job, w.running[job], was)
		}
	}
}
