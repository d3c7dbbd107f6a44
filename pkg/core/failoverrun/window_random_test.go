package failoverrun_test

import (
	"time"

	"pgregory.net/rapid"

	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/core/failoverrun"
)

// pass lets time pass, and has the window looked at, at times by a service that acts
// twice, too early or too late, or by an operator who wants another policy. A run ends
// by its policy only, and never sooner after the warning than people were told.
func (d *driver) pass() {
	d.now = d.now.Add(time.Duration(rapid.IntRange(0, 90).Draw(d.T, "minutes")) * time.Minute)
	if d.oneIn(3, "nobody looks") {
		return
	}
	e := failoverrun.Event{What: rapid.SampledFrom([]failoverrun.What{failoverrun.WindowWarned, failoverrun.WindowEnded, failoverrun.WindowHeld}).Draw(d.T, "window")}
	if at, warn, due := d.stored.Due(); due && !d.now.Before(at) && !d.oneIn(4, "as it should not") {
		e.What = map[bool]failoverrun.What{true: failoverrun.WindowWarned, false: failoverrun.WindowEnded}[warn]
	}
	if d.oneIn(12, "new policy") {
		e.What = failoverrun.PolicySet
	}
	if e.What == failoverrun.WindowEnded && d.stored.CheckEnd() != nil {
		e.What = failoverrun.WindowHeld
	}
	e.Policy = rapid.SampledFrom([]recovery.Policy{recovery.PolicyNone, recovery.PolicyUndo, recovery.PolicyCommit}).Draw(d.T, "policy")
	was, todo := d.stored, d.todo
	at, warn, due := was.Due()
	due = due && !d.now.Before(at)
	d.apply(e)
	switch is := d.stored; {
	case is.Goal != was.Goal:
		if e.What != failoverrun.WindowEnded || !due || warn || is.Goal != was.CommitPolicy.Goal() {
			d.Fatalf("%s became %s by %s; due %v, warned %v", was.Goal, is.Goal, e.What, due, was.Window)
		}
		if d.now.Sub(was.Window.Warned) < 10*time.Minute {
			d.Fatalf("it ended %s after the warning", d.now.Sub(was.Window.Warned))
		}
	case is.Phase != was.Phase || len(is.Steps) != len(was.Steps):
		d.Fatalf("%s changed the run: %s, %s", e.What, was.Phase, is.Phase)
	case len(d.todo) == 0: // the run's own next step stays what it was
		d.todo = todo
	}
}
