package rpo

import (
	"time"

	"tidemark.dev/pkg/cdp"
)

// Status says whether a job meets its RPO now.
type Status string

const (
	NoData   Status = "no-data"
	Met      Status = "met"
	Breached Status = "breached"
	Failed   Status = "failed"
)

// Bad reports whether the objective is not met.
func (s Status) Bad() bool { return s == Breached || s == Failed }

// Objective is the RPO that a job's spec asks for.
type Objective struct {
	// RPO is the objective, greater than zero.
	RPO time.Duration
	// Fail is the RPO above which the job counts as failed; 0: never.
	Fail time.Duration
}

const (
	graceMin, graceMax = time.Second, time.Minute
	settleMax          = 30 * time.Second
)

// Grace is how much later than the objective a point may be: a quarter of it,
// at least a second and at most a minute.
func (o Objective) Grace() time.Duration { return min(max(o.RPO/4, graceMin), graceMax) }

// Settle is how long a breached job must be within its objective to be restored.
func (o Objective) Settle() time.Duration { return min(o.RPO+o.Grace(), settleMax) }

// judge is the status of a job whose worst case is d.
func (o Objective) judge(d time.Duration) Status {
	switch {
	case o.Fail > 0 && d > o.Fail:
		return Failed
	case d > o.RPO+o.Grace():
		return Breached
	}
	return Met
}

// Sample is what is known of a job at one moment.
type Sample struct {
	Now     time.Time // the target's clock
	Running bool      // the job runs, and points can come
	// Point is the newest durable recovery point; nil if there is none. Its
	// Time is in target time if its Bound is not zero.
	Point *cdp.Point
	// Offset is target minus source clock and OffsetBound its greatest error, as
	// measured last; OffsetBound 0: not measured. They correct a point that was
	// made before the first measurement.
	Offset, OffsetBound time.Duration
}

// Measure is the RPO of a sample and its greatest error. ok is false when there
// is no data. A point that seems to lie in the future has an RPO of zero, and an
// error as large as the lead.
func (in Sample) Measure() (value, bound time.Duration, ok bool) {
	if !in.Running || in.Point == nil {
		return 0, 0, false
	}
	at, bound := in.Point.Time, in.Point.Bound
	if bound == 0 && in.OffsetBound > 0 {
		at, bound = at.Add(in.Offset), in.OffsetBound
	}
	if value = in.Now.Sub(at); value < 0 {
		value, bound = 0, max(bound, -value)
	}
	return value, bound, true
}

// State is a job's RPO as it was last judged. The zero value is a job that was
// never judged. It is stored, so that a restart does not report a breach again.
type State struct {
	Status Status `json:"status"`
	// Value and Bound are the last measurement; zero with NoData.
	Value time.Duration `json:"valueNanos"`
	Bound time.Duration `json:"boundNanos"`
	// At is when it was measured, Since when Status was entered.
	At    time.Time `json:"at,omitzero"`
	Since time.Time `json:"since,omitzero"`
	// Good is since when a bad job has been within its objective without a break;
	// zero if it is not. Invariant: zero unless Status.Bad().
	Good time.Time `json:"good,omitzero"`
}

// Change is what a step changed for those who are alerted.
type Change string

const (
	None     Change = ""
	Breach   Change = "breach"
	Restored Change = "restored"
)

// Step judges a sample. Breach and Restored alternate for a job as long as it
// has data; a job that loses its data while breached is not restored.
func Step(s State, o Objective, in Sample) (State, Change) {
	next := State{Status: s.Status, At: in.Now, Since: s.Since}
	value, bound, ok := in.Measure()
	if !ok {
		next.enter(NoData)
		return next, None
	}
	next.Value, next.Bound = value, bound
	now := o.judge(value + bound)
	switch {
	case now.Bad():
		next.enter(now)
		if !s.Status.Bad() {
			return next, Breach
		}
	case s.Status.Bad():
		if next.Good = s.Good; next.Good.IsZero() || next.Good.After(in.Now) {
			next.Good = in.Now
		}
		if in.Now.Sub(next.Good) >= o.Settle() {
			next.enter(Met)
			return next, Restored
		}
	default:
		next.enter(Met)
	}
	return next, None
}

// enter makes st the status.
func (s *State) enter(st Status) {
	if s.Status != st {
		s.Status, s.Since = st, s.At
	}
	s.Good = time.Time{}
}
