package failoverrun

import (
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/spec"
)

// Event is what happened to a run. Now is the driver's clock.
type Event struct {
	Now  time.Time
	What What
	// Step and Result belong to StepDone, StepMoved and StepRefused.
	Step   recovery.Step
	Result Result
	// Err belongs to StepRefused.
	Err error
	// Goal belongs to Asked, and Verdict to one that asks for a cleanup; nil: none.
	Goal    recovery.Goal
	Verdict *Verdict
	// Turn and Text belong to FenceDone and FenceRefused: which request was answered,
	// and how. Text also belongs to WindowHeld.
	Turn uint64
	Text string
	// Policy and Window belong to PolicySet.
	Policy recovery.Policy
	Window spec.Duration
}

// What is the kind of an Event.
type What string

const (
	// Resumed: the driver has started, or restarted.
	Resumed What = "resumed"
	// StepDone: the step has had its effect.
	StepDone What = "done"
	// StepMoved: the step is in progress; ask again. Its Result says how far it is.
	StepMoved What = "moved"
	// StepRefused: the step failed. Transient and Full mean: ask again.
	StepRefused What = "refused"
	// Asked: an operator asked for cleanup, undo or commit. See CheckAsk.
	Asked What = "asked"
	// FenceDone: what was owed at the source is done. See Run.Owed.
	FenceDone What = "fence-done"
	// FenceRefused: it is not, or not yet.
	FenceRefused What = "fence-refused"
	// FenceLifted: an operator asked for the VM at the source to be released.
	FenceLifted What = "fence-lifted"
	// WindowWarned: people were told that the commit window is about to end. See Run.Due.
	WindowWarned What = "window-warned"
	// WindowEnded: the window is over, and nothing is in the way of its policy.
	WindowEnded What = "window-ended"
	// WindowHeld: it is over, and Text is in the way.
	WindowHeld What = "window-held"
	// RecheckAsked: an operator asked for the VM to be checked again. See CheckRecheck.
	RecheckAsked What = "recheck-asked"
	// PolicySet: an operator gave the run another commit policy. See CheckPolicyChange.
	PolicySet What = "policy-set"
)

// Result is what a step found out. Only the fields of that step are set.
type Result struct {
	Text      string
	Drained   *api.DrainReply
	Bounds    *cdp.Bounds
	Captured  *cdp.Seq
	Snapshots bool
	Resolved  *api.Resolved
	Export    *api.Export
	Paths     []string
	VM        *api.VMRun
	Moved     int64
	Total     int64
}

func (r Result) checks() []api.VMCheckResult {
	if r.VM == nil {
		return nil
	}
	return r.VM.Checks
}

// Command is what the driver does after it has stored the run. Exactly one of
// Do, Tell and Finish is set. Tell and Finish may be lost or come twice; Do may
// not: Resumed gives it again.
type Command struct {
	// Do is the step to do; report its outcome as an Event.
	Do recovery.Step
	// Tell is a step that changed, for whoever listens.
	Tell *StepRecord
	// Finish is the phase in which the run came to rest.
	Finish recovery.Phase
	// Again is set with Do when the step was tried before: pause first.
	Again bool
}
