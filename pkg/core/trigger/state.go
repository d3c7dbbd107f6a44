package trigger

import (
	"strconv"
	"time"

	"tidemark.dev/pkg/contract/spec"
)

// Phase is the state of a trigger for its operator.
type Phase string

const (
	Armed    Phase = "armed"
	Holding  Phase = "holding"
	Asking   Phase = "asking"
	Starting Phase = "starting"
	Spent    Phase = "spent"
)

// State is all that is stored of a trigger.
type State struct {
	Plan    string `json:"plan"`
	Trigger string `json:"trigger"`
	// Of is the trigger that the state is about: after a change it begins anew.
	Of    spec.Trigger `json:"of"`
	Phase Phase        `json:"phase"`
	// Text is what was seen last, or why the phase is what it is.
	Text string `json:"text,omitempty"`
	// Since is when what it waits for began to hold; zero while it does not.
	Since time.Time `json:"since,omitzero"`
	// Approvals are those who have agreed, each once.
	Approvals []string `json:"approvals,omitempty"`
	// Run is the last run it started, at FiredAt. It is stored before the run begins,
	// so that the run begins once.
	Run     string    `json:"run,omitempty"`
	FiredAt time.Time `json:"firedAt,omitzero"`
	// Next is when a schedule is due.
	Next time.Time `json:"next,omitzero"`
	// Raised: a signal holds.
	Raised bool `json:"raised,omitempty"`
}

// New is the state of a trigger that is armed for the first time.
func New(plan string, t spec.Trigger, now time.Time) State {
	s := State{Plan: plan, Trigger: t.Name, Of: t, Phase: Armed}
	if t.Schedule != nil {
		s.Next = due(*t.Schedule, now)
	}
	return s
}

// renew is New for a trigger that was changed: what it has done stays known.
func (s State) renew(t spec.Trigger, now time.Time) State {
	n := New(s.Plan, t, now)
	n.Run, n.FiredAt = s.Run, s.FiredAt
	return n
}

// cooled reports whether it may fire again.
func (s State) cooled(t spec.Trigger, now time.Time) bool {
	return s.FiredAt.IsZero() || !now.Before(s.FiredAt.Add(t.CoolDown.Std()))
}

// runOf names the run that a trigger starts at a time.
func runOf(name string, at time.Time) string {
	const room = 16 // of the 30 characters that a run's name may have
	if len(name) > room {
		name = name[:room]
	}
	return "t-" + strconv.FormatInt(at.Unix(), 36) + "-" + name
}
