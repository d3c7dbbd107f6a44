package plan

import "time"

// What is the kind of an Event.
type What string

const (
	// Resumed: the driver has started, or restarted: what was in progress was
	// interrupted.
	Resumed What = "resumed"
	// Looked: a Look is done; Was is set.
	Looked What = "looked"
	// Finished: a task is done.
	Finished What = "finished"
	// Refused: a task failed; Err is set.
	Refused What = "refused"
	// Tick: the time that Wake gave has come.
	Tick What = "tick"
	// Asked: an operator asked for something. See CheckAsk.
	Asked What = "asked"
)

// Event is what happened to a run. Now is the driver's clock.
type Event struct {
	Now  time.Time
	What What
	// Task belongs to Looked, Finished and Refused.
	Task Task
	Text string
	Was  bool
	Err  error
	// Ask belongs to Asked.
	Ask Ask
}

// Command is what the driver does after it has stored the run. Exactly one field is
// set. Both may be lost, or come twice.
type Command struct {
	// Tell is an action that changed, for whoever listens.
	Tell *Told
	// Finish is the phase in which the run came to rest.
	Finish Phase
}

// Told is a new state of an action, or of its clean-up.
type Told struct {
	Action string
	Status Status
	Clean  bool
	Text   string
}

// Verb is what an operator can ask of a run.
type Verb string

const (
	Cancel  Verb = "cancel"
	Pause   Verb = "pause"
	Resume  Verb = "resume"
	Skip    Verb = "skip"
	Retry   Verb = "retry"
	Approve Verb = "approve"
	Refuse  Verb = "refuse"
)

// Ask is what an operator asks of a run. Action belongs to Skip, Retry, Approve and
// Refuse.
type Ask struct {
	Verb   Verb
	Action string
	By     string
	// With is the plan that runs this one, and pauses it while it is paused itself; empty:
	// a person asks.
	With string
}
