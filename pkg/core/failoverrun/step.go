package failoverrun

import (
	"slices"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/recovery"
)

// Begin is a new run of the job and its first commands. The request must have
// passed Check. last is the run on record, whose fence the new one takes over; nil:
// there is none.
func Begin(req Request, job Pinned, last *Run, now time.Time) (Run, []Command) {
	if rules := job.Spec.Failover; req.Mode == recovery.Production && req.CommitPolicy == "" {
		req.CommitPolicy, req.CommitWindow = rules.CommitPolicy, rules.CommitWindow
	}
	r := Run{Request: req, Pinned: job, Phase: recovery.Running, Goal: recovery.Recover, StartedAt: now}
	if last != nil {
		r.Old, r.TestPassed = last.Old, last.TestPassed
	}
	r.plan(recovery.Recover, recoverSteps(req, job))
	return r.next(now)
}

// Step is what follows from an event. An event that is not about the current
// step comes late and changes nothing.
func Step(r Run, e Event) (Run, []Command) {
	r.Steps = slices.Clone(r.Steps)
	cur, busy := r.Current()
	switch e.What {
	case Resumed:
		if !busy {
			return r, nil
		}
		return r.next(e.Now)
	case Asked:
		if r.CheckAsk(e.Goal) != nil || r.Goal == e.Goal && busy {
			return r, nil
		}
		r.Next = e.Goal
		if e.Goal == recovery.Cleanup && r.Verdict == nil && e.Verdict != nil {
			r.judge(*e.Verdict, e.Now)
		}
		if busy {
			return r, nil // the current step comes to its end first
		}
		return r.turn(e.Now)
	case FenceDone, FenceRefused, FenceLifted:
		return r.fence(e)
	case WindowWarned, WindowEnded, WindowHeld, PolicySet:
		return r.pass(e)
	case RecheckAsked:
		return r.recheck(e.Now)
	}
	if !busy || cur.Step != e.Step {
		return r, nil
	}
	switch e.What {
	case StepDone:
		return r.succeed(r.at(), e)
	case StepMoved:
		return r.progress(r.at(), e)
	case StepRefused:
		return r.refused(r.at(), e)
	}
	return r, nil
}

// progress is an answer of a step that is not done yet.
func (r Run) progress(i int, e Event) (Run, []Command) {
	r.Moved, r.Total = e.Result.Moved, e.Result.Total
	if e.Result.Text != "" {
		r.Steps[i].Text = e.Result.Text
	}
	if e.Result.VM != nil {
		r.VM = e.Result.VM
	}
	if r.Next != "" {
		return r.turn(e.Now)
	}
	return r, []Command{{Do: r.Steps[i].Step, Again: true}}
}

// refused is an error of a step: it is tried again, or the run fails.
func (r Run) refused(i int, e Event) (Run, []Command) {
	r.Steps[i].Text = e.Err.Error()
	if e.Step == recovery.Stop && r.owesFence() { // it was to be powered on, and nobody can say that it is off
		r.want(recovery.Fenced, e.Now)
	}
	if r.Next != "" {
		return r.turn(e.Now)
	}
	if k := cdp.KindOf(e.Err); k == cdp.Transient || k == cdp.Full {
		return r, []Command{{Do: e.Step, Again: true}}
	}
	if e.Step == recovery.Check { // the VM runs all the same
		e.Result.Text = "the checks could not be made: " + e.Err.Error()
		return r.succeed(i, e)
	}
	return r.fail(i, e)
}

// succeed is the end of a step that had its effect.
func (r Run) succeed(i int, e Event) (Run, []Command) {
	r.Steps[i].Status, r.Steps[i].Text, r.Steps[i].EndedAt = recovery.Done, e.Result.Text, e.Now
	r.learn(e)
	told := r.Steps[i]
	r, cmds := r.next(e.Now)
	return r, append([]Command{{Tell: &told}}, cmds...)
}

// fail is the end of a step that will not succeed. Before the disks can be used
// everything is taken back; after that nothing is torn down unasked.
func (r Run) fail(i int, e Event) (Run, []Command) {
	r.Steps[i].Status, r.Steps[i].EndedAt = recovery.StepFailed, e.Now
	r.Error, r.Kind, r.Hint = e.Err.Error(), cdp.KindOf(e.Err), cdp.HintOf(e.Err)
	told := r.Steps[i]
	cmds := []Command{{Tell: &told}}
	if r.Goal == recovery.Recover && r.Phase == recovery.Running {
		r, more := r.take(recovery.Back, e.Now)
		return r, append(cmds, more...)
	}
	r.Phase = recovery.Failed
	return r, append(cmds, Command{Finish: recovery.Failed})
}

// plan appends the steps to a goal and skips those still pending.
func (r *Run) plan(g recovery.Goal, steps []recovery.Step) {
	for i, st := range r.Steps {
		if st.Status == recovery.Pending {
			r.Steps[i].Status = recovery.Skipped
		}
	}
	for _, step := range steps {
		r.Steps = append(r.Steps, StepRecord{Step: step, Goal: g, Status: recovery.Pending})
	}
}

// next goes on with the first step that is not done, or comes to rest.
func (r Run) next(now time.Time) (Run, []Command) {
	if r.Next != "" {
		return r.turn(now)
	}
	i := r.at()
	if i < 0 {
		return r.rest(now)
	}
	if r.Goal == recovery.Recover && (r.done(recovery.Open) && r.Mode == recovery.Production || r.done(recovery.Boot)) {
		r.Phase = recovery.Usable
	}
	var cmds []Command
	if r.Steps[i].Status == recovery.Pending {
		r.Steps[i].start(now)
		if r.Steps[i].Step == recovery.FenceVM {
			r.want(recovery.Fenced, now)
		}
		told := r.Steps[i]
		cmds = append(cmds, Command{Tell: &told})
	}
	return r, append(cmds, Command{Do: r.Steps[i].Step})
}

// restPhase is the phase in which a run rests when its goal is reached.
var restPhase = map[recovery.Goal]recovery.Phase{
	recovery.Recover: recovery.Ready,
	recovery.Cleanup: recovery.Cleaned,
	recovery.Undo:    recovery.Undone,
	recovery.Commit:  recovery.Committed,
	recovery.Back:    recovery.Failed,
}

// rest is the end of a goal.
func (r Run) rest(now time.Time) (Run, []Command) {
	r.Phase = restPhase[r.Goal]
	if r.Window == nil || r.Phase != recovery.Ready { // the window goes on while the VM is checked again
		r.openWindow(now)
	}
	if r.Goal != recovery.Recover {
		r.EndedAt = now
	}
	if r.Goal == recovery.Cleanup && r.Verdict != nil && r.Verdict.Verdict == cdp.Passed {
		r.TestPassed = r.Verdict.At
	}
	if r.Goal == recovery.Commit && r.Old != nil && r.Old.Want == recovery.Restored {
		r.want(recovery.Released, now) // what an earlier run still owed would start a second VM
	}
	if (r.Goal == recovery.Undo || r.Goal == recovery.Back) && r.Old != nil && r.Old.Run == r.ID && r.Old.Want == recovery.Fenced {
		r.want(recovery.Restored, now)
	}
	return r, []Command{{Finish: r.Phase}}
}

// turn makes the requested goal the goal.
func (r Run) turn(now time.Time) (Run, []Command) {
	g := r.Next
	r.Next = ""
	if g == r.Goal && r.at() >= 0 { // a step of this goal failed: try it again
		r.Phase, r.Error, r.Kind, r.Hint = recovery.Ending, "", "", ""
		r.Steps[r.at()].start(now)
		if g == recovery.Cleanup && r.attests() && !r.planned(recovery.Attest) { // the verdict came now
			r.Steps = append(r.Steps, StepRecord{Step: recovery.Attest, Goal: g, Status: recovery.Pending})
		}
		return r.next(now)
	}
	return r.take(g, now)
}

// take begins to work towards g.
func (r Run) take(g recovery.Goal, now time.Time) (Run, []Command) {
	steps := r.backSteps()
	if g == recovery.Commit {
		steps = r.commitSteps()
	}
	if g == recovery.Cleanup && r.attests() {
		steps = append(steps, recovery.Attest)
	}
	if g != recovery.Back {
		r.Error, r.Kind, r.Hint = "", "", ""
	}
	r.plan(g, steps)
	r.Goal, r.Phase = g, recovery.Ending
	return r.next(now)
}
