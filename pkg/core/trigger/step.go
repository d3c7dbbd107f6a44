package trigger

import (
	"fmt"
	"reflect"
	"slices"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/plan"
)

// Sight is what was seen of the thing that a trigger waits for.
type Sight string

const (
	Holds   Sight = "holds"
	Ended   Sight = "ended"
	Unknown Sight = "unknown"
)

// What is the kind of an Event.
type What string

const (
	// Seen: the driver has looked.
	Seen What = "seen"
	// Begun: the run that was to start has begun, now or before.
	Begun What = "begun"
	// Blocked: it could not begin yet; Text says why.
	Blocked What = "blocked"

	// An operator asked for something: see CheckAsk.
	Raise   What = "raise"
	Clear   What = "clear"
	Approve What = "approve"
	Refuse  What = "refuse"
)

// Event is what happened to a trigger. Now is the driver's time of day.
type Event struct {
	Now  time.Time
	What What
	// Sight and Text belong to Seen. Held is for how long the same has been seen
	// without a break, by a clock that does not step.
	Sight Sight
	Text  string
	Held  time.Duration
	// Last is the plan's last run; nil if it never ran.
	Last *plan.Run
	// Idle says why a production run would have nothing to recover; empty: it would.
	Idle string
	// By is who asked.
	By string
}

// missed is how late a schedule may be: after an outage a test of last night does not
// start at noon.
const missed = time.Hour

// Step is what follows from an event. What CheckAsk refuses changes nothing.
func Step(t spec.Trigger, s State, e Event) State {
	if !reflect.DeepEqual(s.Of, t) {
		s = s.renew(t, e.Now)
	}
	s.Approvals = slices.Clone(s.Approvals)
	switch e.What {
	case Seen:
		return s.seen(t, e)
	case Begun:
		if s.Phase == Starting {
			s = s.over(t, e.Now, "the run "+s.Run+" has begun")
		}
	case Blocked:
		if s.Phase == Starting {
			s.Text = e.Text
		}
	default:
		if s.CheckAsk(t, e.What, e.By) == nil {
			return s.asked(t, e)
		}
	}
	return s
}

// CheckAsk says whether an operator can ask that now. Duplicate: it is so already.
func (s State) CheckAsk(t spec.Trigger, what What, by string) error {
	op, subject := string(what)+" trigger", s.Plan+" "+t.Name
	switch what {
	case Raise, Clear:
		switch {
		case t.Signal == nil:
			return cdp.Errorf(cdp.Invalid, op, subject, "it is no signal: the orchestrator looks for itself whether it holds")
		case s.Raised == (what == Raise):
			return cdp.Errorf(cdp.Duplicate, op, subject, "the signal is so already")
		}
		return nil
	case Approve, Refuse:
		switch {
		case s.Phase != Asking:
			return cdp.Errorf(cdp.Conflict, op, subject, "it is %s and asks nobody", s.Phase).WithHint("see: tidemark plan trigger list " + s.Plan)
		case what == Approve && slices.Contains(s.Approvals, by):
			return cdp.Errorf(cdp.Duplicate, op, subject, "%s has agreed already, and %d different people must", by, t.Approvals)
		}
		return nil
	}
	return cdp.Errorf(cdp.Invalid, op, subject, "want raise, clear, approve or refuse")
}

func (s State) asked(t spec.Trigger, e Event) State {
	switch e.What {
	case Raise, Clear:
		s.Raised = e.What == Raise
	case Refuse:
		return s.over(t, e.Now, "refused by "+e.By)
	case Approve:
		s.Approvals = append(s.Approvals, e.By)
		if len(s.Approvals) >= t.Approvals {
			return s.fire(t, e.Now)
		}
		s.Text = s.question(t)
	}
	return s
}

// seen is what the driver's look brings about.
func (s State) seen(t spec.Trigger, e Event) State {
	if t.Schedule != nil {
		e = s.clockSight(e)
	}
	if by := s.begunMeanwhile(t, e.Last); by != "" {
		return s.over(t, e.Now, "the run "+by+" has begun meanwhile")
	}
	if e.Idle != "" && t.Mode == recovery.Production && s.Phase != Spent {
		s.Phase, s.Since, s.Approvals, s.Text = Armed, time.Time{}, nil, e.Idle
		return s
	}
	switch s.Phase {
	case Armed, Holding:
		return s.wait(t, e)
	case Asking, Starting:
		if e.Sight == Ended {
			return s.rearm(t, e)
		}
	case Spent:
		if e.Sight == Ended && e.Held >= t.For.Std() {
			return s.rearm(t, e)
		}
	}
	return s
}

// wait is seen while nothing has come of it yet.
func (s State) wait(t spec.Trigger, e Event) State {
	switch {
	case e.Sight != Holds:
		s.Phase, s.Since, s.Text = Armed, time.Time{}, e.Text
		if t.Schedule != nil && e.Sight == Ended && !e.Now.Before(s.Next) {
			s.Next = due(*t.Schedule, e.Now) // it was missed
		}
		return s
	case !s.cooled(t, e.Now):
		s.Phase, s.Since = Armed, time.Time{}
		s.Text = fmt.Sprintf("%s; it has fired at %s, and does not again before %s", e.Text, stamp(s.FiredAt), stamp(s.FiredAt.Add(t.CoolDown.Std())))
		return s
	case s.Phase == Armed:
		s.Phase, s.Since = Holding, e.Now
	}
	s.Text = e.Text
	switch {
	case e.Held < t.For.Std():
		return s
	case t.Start == spec.Automatic:
		return s.fire(t, e.Now)
	}
	s.Phase, s.Approvals = Asking, nil
	s.Text = s.question(t)
	return s
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// question is what people are asked.
func (s State) question(t spec.Trigger) string {
	return fmt.Sprintf("start the plan in %s? %d of %d have agreed", t.Mode, len(s.Approvals), t.Approvals)
}

func (s State) fire(t spec.Trigger, now time.Time) State {
	s.Phase, s.FiredAt, s.Run = Starting, now, runOf(t.Name, now)
	s.Text = "the run " + s.Run + " begins"
	return s
}

// over is the end of a firing.
func (s State) over(t spec.Trigger, now time.Time, text string) State {
	s.Phase, s.Text, s.Approvals = Spent, text, nil
	if t.Schedule != nil {
		s.Phase, s.Since, s.Next = Armed, time.Time{}, due(*t.Schedule, now)
	}
	return s
}

func (s State) rearm(t spec.Trigger, e Event) State {
	n := s.renew(t, e.Now)
	n.Text, n.Raised = e.Text, s.Raised
	return n
}

// clockSight is the sight of a schedule. One that asks, or waits for another run to
// end, holds until its next time.
func (s State) clockSight(e Event) Event {
	late := e.Now.Sub(s.Next)
	waits := s.Phase == Asking || s.Phase == Starting
	e.Sight, e.Text = Ended, "due at "+stamp(s.Next)
	if !s.Next.IsZero() && late >= 0 && late < missed || waits && e.Now.Sub(s.Since) < missed {
		e.Sight = Holds
	}
	return e
}

// begunMeanwhile is the run that makes another one pointless: the trigger's own, or,
// for production, one that somebody has begun since it holds, or that goes on.
func (s State) begunMeanwhile(t spec.Trigger, last *plan.Run) string {
	switch {
	case last == nil || s.Phase != Holding && s.Phase != Asking && s.Phase != Starting:
	case s.Phase == Starting && last.ID == s.Run:
		return last.ID
	case t.Mode == recovery.Production && last.Mode == recovery.Production && (!last.Over() || !last.StartedAt.Before(s.Since)):
		return last.ID
	}
	return ""
}
