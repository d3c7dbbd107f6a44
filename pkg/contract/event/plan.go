package event

import (
	"encoding/json"

	"tidemark.dev/pkg/contract/recovery"
)

// PlanApply asks the orchestrator of a plan's site to write the plan.
type PlanApply struct {
	Plan string `json:"plan"`
	// Document is a SiteRecoveryJob as users write it, as JSON.
	Document json.RawMessage `json:"document"`
}

// EventType implements Payload.
func (PlanApply) EventType() string { return "tidemark.cmd.v1.orchestrator.plan-apply" }

// About implements Payload.
func (p PlanApply) About() string { return p.Plan }

// PlanDelete asks the orchestrator to delete a plan that does not run, and its
// history.
type PlanDelete struct {
	Plan string `json:"plan"`
}

// EventType implements Payload.
func (PlanDelete) EventType() string { return "tidemark.cmd.v1.orchestrator.plan-delete" }

// About implements Payload.
func (p PlanDelete) About() string { return p.Plan }

// PlanRun asks the orchestrator to run a plan.
type PlanRun struct {
	Plan string        `json:"plan"`
	Run  string        `json:"run"` // the sender chooses it; the same one again is the same run
	Mode recovery.Mode `json:"mode"`
}

// EventType implements Payload.
func (PlanRun) EventType() string { return "tidemark.cmd.v1.orchestrator.run" }

// About implements Payload.
func (p PlanRun) About() string { return p.Plan }

// PlanControl asks something of a plan's current run.
type PlanControl struct {
	Plan string `json:"plan"`
	Run  string `json:"run,omitempty"` // empty: the current one
	// Do is cancel, pause, resume, skip, retry, approve or refuse; Action belongs to
	// the last four.
	Do     string `json:"do"`
	Action string `json:"action,omitempty"`
}

// EventType implements Payload.
func (PlanControl) EventType() string { return "tidemark.cmd.v1.orchestrator.control" }

// About implements Payload.
func (p PlanControl) About() string { return p.Plan }

// PlanTrigger asks something of one of a plan's triggers.
type PlanTrigger struct {
	Plan    string `json:"plan"`
	Trigger string `json:"trigger"`
	// Do is raise or clear, of a signal, or approve or refuse, of one that asks.
	Do string `json:"do"`
	// By is who asks, as the sender says; empty: the sender itself.
	By string `json:"by,omitempty"`
}

// EventType implements Payload.
func (PlanTrigger) EventType() string { return "tidemark.cmd.v1.orchestrator.trigger" }

// About implements Payload.
func (p PlanTrigger) About() string { return p.Plan }

// PlanApplied reports that a plan was written.
type PlanApplied struct {
	Plan     string `json:"plan"`
	Revision uint64 `json:"revision"`
}

// EventType implements Payload.
func (PlanApplied) EventType() string { return "tidemark.evt.v1.plan.applied" }

// About implements Payload.
func (p PlanApplied) About() string { return p.Plan }

// PlanDeleted reports that a plan was deleted.
type PlanDeleted struct {
	Plan string `json:"plan"`
}

// EventType implements Payload.
func (PlanDeleted) EventType() string { return "tidemark.evt.v1.plan.deleted" }

// About implements Payload.
func (p PlanDeleted) About() string { return p.Plan }

// PlanStarted reports that a run of a plan began.
type PlanStarted struct {
	Plan string        `json:"plan"`
	Run  string        `json:"run"`
	Mode recovery.Mode `json:"mode"`
	By   string        `json:"by,omitempty"` // who asked for it
}

// EventType implements Payload.
func (PlanStarted) EventType() string { return "tidemark.evt.v1.plan.started" }

// About implements Payload.
func (p PlanStarted) About() string { return p.Plan }

// PlanAction reports a new state of an action of a run. The question of an action
// that asks a person is its text while it is started.
type PlanAction struct {
	Plan   string `json:"plan"`
	Run    string `json:"run"`
	Action string `json:"action"`
	// State is started, waiting, done, failed, skipped or abandoned.
	State string `json:"state"`
	// CleanUp: it is the state of the action's clean-up.
	CleanUp bool   `json:"cleanUp,omitempty"`
	Text    string `json:"text,omitempty"`
}

// EventType implements Payload.
func (PlanAction) EventType() string { return "tidemark.evt.v1.plan.action" }

// About implements Payload.
func (p PlanAction) About() string { return p.Plan }

// PlanFinished reports that a run came to rest.
type PlanFinished struct {
	Plan string        `json:"plan"`
	Run  string        `json:"run"`
	Mode recovery.Mode `json:"mode"`
	// State is succeeded, failed or cancelled.
	State   string  `json:"state"`
	Seconds float64 `json:"seconds"` // from its start to now
	Text    string  `json:"text,omitempty"`
}

// EventType implements Payload.
func (PlanFinished) EventType() string { return "tidemark.evt.v1.plan.finished" }

// About implements Payload.
func (p PlanFinished) About() string { return p.Plan }

// PlanTriggered reports a new phase of one of a plan's triggers.
type PlanTriggered struct {
	Plan    string `json:"plan"`
	Trigger string `json:"trigger"`
	// State is armed, holding, asking, starting or spent.
	State string `json:"state"`
	Run   string `json:"run,omitempty"` // the run that it starts
	Text  string `json:"text,omitempty"`
}

// EventType implements Payload.
func (PlanTriggered) EventType() string { return "tidemark.evt.v1.plan.triggered" }

// About implements Payload.
func (p PlanTriggered) About() string { return p.Plan }

// PlanChecked reports that a check of a plan came to another result than the last.
type PlanChecked struct {
	Plan string `json:"plan"`
	// State is verified or failed.
	State    string `json:"state"`
	Errors   int    `json:"errors"`
	Warnings int    `json:"warnings"`
	Text     string `json:"text,omitempty"` // the findings, a line each
}

// EventType implements Payload.
func (PlanChecked) EventType() string { return "tidemark.evt.v1.plan.checked" }

// About implements Payload.
func (p PlanChecked) About() string { return p.Plan }
