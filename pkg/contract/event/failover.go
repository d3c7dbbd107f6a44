package event

import (
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/recovery"
)

// FailoverStart asks to bring a job's disks to a recovery point: Point, which may be a
// tag, or the newest at or before At; with neither the newest. Not both are set.
type FailoverStart struct {
	Job    string               `json:"job"`
	Run    string               `json:"run"`
	Point  string               `json:"point,omitempty"`
	At     *time.Time           `json:"at,omitempty"`
	Mode   recovery.Mode        `json:"mode"`
	To     recovery.Destination `json:"to"`
	Listen string               `json:"listen,omitempty"`
	// Shutdown none leaves the VM at the source alone; empty: it is powered off.
	Shutdown recovery.Shutdown `json:"shutdown,omitempty"`
	// Force begins a production run even while clients read points of the job; without
	// it the command is refused.
	Force bool `json:"force,omitempty"`
	// NoReIP leaves the guest the addresses that it had at the source; with To vm only.
	NoReIP bool `json:"noReIP,omitempty"`
	// CommitPolicy says how a production run ends if nobody has ended it within
	// CommitWindow after it was ready.
	CommitPolicy recovery.Policy `json:"commitPolicy,omitempty"`
	CommitWindow string          `json:"commitWindow,omitempty"` // as 90m
}

// EventType implements Payload.
func (FailoverStart) EventType() string { return "tidemark.cmd.v1.failover.start" }

// About implements Payload.
func (p FailoverStart) About() string { return p.Job }

// FailoverCleanup asks to end a test failover.
type FailoverCleanup struct {
	Job string `json:"job"`
	Run string `json:"run,omitempty"`
	// Force disconnects clients of the run's disks, whose writes are discarded;
	// without it the command is refused while there are any.
	Force bool `json:"force,omitempty"`
	// Verdict is what is said of the test, Note why, and By who says it. They are kept on
	// the recovery point.
	Verdict cdp.Verdict `json:"verdict,omitempty"`
	Note    string      `json:"note,omitempty"`
	By      string      `json:"by,omitempty"`
}

// EventType implements Payload.
func (FailoverCleanup) EventType() string { return "tidemark.cmd.v1.failover.cleanup" }

// About implements Payload.
func (p FailoverCleanup) About() string { return p.Job }

// FailoverUndo asks to take a production failover back.
type FailoverUndo struct {
	Job string `json:"job"`
	Run string `json:"run,omitempty"`
	// Force disconnects clients of the run's disks, whose writes are discarded;
	// without it the command is refused while there are any.
	Force bool `json:"force,omitempty"`
}

// EventType implements Payload.
func (FailoverUndo) EventType() string { return "tidemark.cmd.v1.failover.undo" }

// About implements Payload.
func (p FailoverUndo) About() string { return p.Job }

// FailoverCommit asks to make a production failover final.
type FailoverCommit struct {
	Job string `json:"job"`
	Run string `json:"run,omitempty"`
	// Force disconnects clients of the run's disks and closes exports of points;
	// without it the command is refused while there are any.
	Force bool `json:"force,omitempty"`
}

// EventType implements Payload.
func (FailoverCommit) EventType() string { return "tidemark.cmd.v1.failover.commit" }

// About implements Payload.
func (p FailoverCommit) About() string { return p.Job }

// FailoverStep reports a new state of a run's step.
type FailoverStep struct {
	Job   string              `json:"job"`
	Run   string              `json:"run"`
	Step  recovery.Step       `json:"step"`
	State recovery.StepStatus `json:"state"`
	Text  string              `json:"text"`
}

// EventType implements Payload.
func (FailoverStep) EventType() string { return "tidemark.evt.v1.failover.step" }

// About implements Payload.
func (p FailoverStep) About() string { return p.Job }

// FailoverFinished reports that a run came to rest.
type FailoverFinished struct {
	Job string `json:"job"`
	Run string `json:"run"`
	// State is ready, failed, cleaned, undone or committed.
	State  recovery.Phase `json:"state"`
	Result string         `json:"result"`
}

// EventType implements Payload.
func (FailoverFinished) EventType() string { return "tidemark.evt.v1.failover.finished" }

// About implements Payload.
func (p FailoverFinished) About() string { return p.Job }

// FailoverWindowEnding warns that a run is about to end by itself.
type FailoverWindowEnding struct {
	Job string `json:"job"`
	Run string `json:"run"`
	// Policy is commit or undo.
	Policy recovery.Policy `json:"policy"`
	Ends   time.Time       `json:"ends"`
	Text   string          `json:"text"`
}

// EventType implements Payload.
func (FailoverWindowEnding) EventType() string { return "tidemark.evt.v1.failover.window-ending" }

// About implements Payload.
func (p FailoverWindowEnding) About() string { return p.Job }
