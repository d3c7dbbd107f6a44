package plan

import (
	"fmt"
	"slices"
	"time"

	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/spec"
)

// Phase is the state of a run for its operator.
type Phase string

const (
	Running   Phase = "running"
	Paused    Phase = "paused"
	Cleaning  Phase = "cleaning" // a test is cleaned up
	Succeeded Phase = "succeeded"
	Failed    Phase = "failed"
	Cancelled Phase = "cancelled"
)

// Status is the state of one action of a run, or of its clean-up.
type Status string

const (
	// Pending: it has not begun.
	Pending Status = "pending"
	// Started: it may have had its effect, or not.
	Started Status = "started"
	// Waiting: an attempt failed, and the next one is due at Until.
	Waiting Status = "waiting"
	Done    Status = "done"
	// GaveUp: it failed, and is not tried again by itself.
	GaveUp  Status = "failed"
	Skipped Status = "skipped"
	// Abandoned: the run was cancelled, or the action skipped, while it was in
	// progress.
	Abandoned Status = "abandoned"
)

// Request is what was asked for.
type Request struct {
	Plan string `json:"plan"`
	// ID names the run. The caller chooses it, so that asking twice starts one run.
	ID   string        `json:"run"`
	Mode recovery.Mode `json:"mode"`
	By   string        `json:"by,omitempty"` // who asked
}

// Record is what became of one action.
//
// Invariant: Order > 0 if and only if Attempt > 0.
type Record struct {
	Name   string `json:"name"`
	Verb   string `json:"verb"`
	Status Status `json:"status"`
	// Order numbers the actions in the order in which they began, from 1.
	Order   int `json:"order,omitempty"`
	Attempt int `json:"attempt,omitempty"`
	Left    int `json:"retriesLeft,omitempty"`
	// Until is when the attempt times out, the wait ends or the next attempt is due.
	Until   time.Time `json:"until,omitzero"`
	BegunAt time.Time `json:"begunAt,omitzero"`
	EndedAt time.Time `json:"endedAt,omitzero"`
	Text    string    `json:"text,omitempty"` // what came of it, or why it failed
	// Asked: an operator asked for the attempt that is due. It begins although another
	// action has failed.
	Asked bool `json:"asked,omitempty"`
	// Was is whether a job was running, or a VM was on, before a test run changed that.
	Was *bool `json:"was,omitempty"`
	// Clean is the clean-up of the action, after a test. Nil: there is nothing to
	// clean up.
	Clean *Clean `json:"clean,omitempty"`
}

// Clean is the clean-up of one action.
type Clean struct {
	Status  Status    `json:"status"`
	Attempt int       `json:"attempt,omitempty"`
	Until   time.Time `json:"until,omitzero"`
	Text    string    `json:"text,omitempty"`
}

// Run is the record of a run: all that is stored of it, and enough to continue
// after a restart. Actions has one entry for each action of Spec, in its order.
type Run struct {
	Request
	// Revision is that of the plan in its bucket.
	Revision uint64    `json:"revision"`
	Spec     spec.Plan `json:"spec"`
	Phase    Phase     `json:"phase"`
	// Outcome is what a test that is being cleaned up came to.
	Outcome Phase `json:"outcome,omitempty"`
	// PausedWith is the plan that runs this one and paused it; empty: a person did, or the
	// run is not paused.
	PausedWith string `json:"pausedWith,omitempty"`
	// PausedAt is since when the run is paused; zero: it is not.
	PausedAt  time.Time `json:"pausedAt,omitzero"`
	Actions   []Record  `json:"actions"`
	StartedAt time.Time `json:"startedAt,omitzero"`
	EndedAt   time.Time `json:"endedAt,omitzero"`
	// Trace is the trace of all that the run does, as a W3C traceparent.
	Trace string `json:"trace,omitempty"`
}

// Over reports whether nothing happens in the run any more, so that another may
// begin.
func (r Run) Over() bool { return r.Phase == Succeeded || r.Phase == Failed || r.Phase == Cancelled }

// Work is what a task does about its action.
type Work string

const (
	// Look finds out whether a job runs, or a VM is on, before a test changes that.
	Look Work = "look"
	Act  Work = "act"
	// CleanUp takes back what the action did in a test.
	CleanUp Work = "clean-up"
)

// Task is something that the driver does now.
type Task struct {
	Action  string
	Attempt int
	Work    Work
}

// Tasks are what is in progress now, and has to be done by the driver. Waits and
// questions are not: they end by time or by an answer.
func (r Run) Tasks() (out []Task) {
	for i, rec := range r.Actions {
		a := r.Spec.Actions[i]
		switch {
		case r.Phase == Cleaning:
			if rec.Clean != nil && rec.Clean.Status == Started {
				out = append(out, Task{rec.Name, rec.Clean.Attempt, CleanUp})
			}
		case r.Over() || rec.Status != Started || timed(a):
		case r.mustLook(i):
			out = append(out, Task{rec.Name, rec.Attempt, Look})
		default:
			out = append(out, Task{rec.Name, rec.Attempt, Act})
		}
	}
	return out
}

// Wake is when the next Tick is due; zero if none is.
func (r Run) Wake() time.Time {
	var first time.Time
	at := func(t time.Time) {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	for i, rec := range r.Actions {
		switch {
		case r.Phase == Cleaning:
			if rec.Clean != nil && (rec.Clean.Status == Started || rec.Clean.Status == Waiting) {
				at(rec.Clean.Until)
			}
		case r.Over():
		case rec.Status == Started && !r.held(i), rec.Status == Waiting && r.Phase == Running:
			at(rec.Until)
		}
	}
	return first
}

// Ref names what an attempt of an action makes, such as a failover run.
func (r Run) Ref(action string, attempt int) string {
	return fmt.Sprintf("%s%d", r.Prefix(action), attempt)
}

// Prefix begins all references of an action in this run.
func (r Run) Prefix(action string) string { return fmt.Sprintf("%s-%d-", r.ID, r.index(action)) }

// Attempts are how often an action was begun, or its clean-up; 0 for no action.
func (r Run) Attempts(action string) int {
	i := r.index(action)
	switch {
	case i < 0:
		return 0
	case r.Actions[i].Clean != nil:
		return r.Actions[i].Attempt + r.Actions[i].Clean.Attempt
	}
	return r.Actions[i].Attempt
}

// Action is what the plan says of an action.
func (r Run) Action(name string) spec.Action { return r.Spec.Actions[r.index(name)] }

func (r Run) index(name string) int {
	return slices.IndexFunc(r.Actions, func(rec Record) bool { return rec.Name == name })
}

// timed reports whether an action ends without anything being done.
func timed(a spec.Action) bool { return a.Wait != 0 || a.Ask != nil }

// Until is when a task of this run times out; zero while the run is paused, for that time
// does not count.
func (r Run) Until(t Task) time.Time {
	i := r.index(t.Action)
	switch {
	case t.Work == CleanUp:
		return r.Actions[i].Clean.Until
	case r.held(i):
		return time.Time{}
	}
	return r.Actions[i].Until
}

// held reports whether the time-out of an action stands still. A wait goes on: it is for
// something else than the run.
func (r Run) held(i int) bool { return r.Phase == Paused && r.Spec.Actions[i].Wait == 0 }

// Once reports whether a task must not be done twice.
func (r Run) Once(t Task) bool { return t.Work == Act && once(r.Action(t.Action)) }

// once reports whether nobody can say if an action that was interrupted took effect.
func once(a spec.Action) bool { return a.Script != nil || a.Webhook != nil || a.Email != nil }

func (r Run) mustLook(i int) bool {
	a := r.Spec.Actions[i]
	return r.Mode == recovery.Test && (a.RunJob != nil || a.StopJob != nil || a.Power != nil) && r.Actions[i].Was == nil
}
