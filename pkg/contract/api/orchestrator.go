package api

import (
	"encoding/json"
	"time"
)

// Orchestrator endpoints, served at a plan's site. The orchestrator is the only
// writer of plans.
const (
	PlanApply  = "apply"  // ApplyRequest -> ApplyReply; findings are warnings
	PlanDelete = "delete" // PlanRequest -> Empty
	PlanCheck  = "check"  // PlanRequest -> PlanCheckReply
)

// PlanRequest names a plan; to check one that is not applied, Document is set
// instead.
type PlanRequest struct {
	Plan     string          `json:"plan,omitempty"`
	Document json.RawMessage `json:"document,omitempty"`
}

// PlanCheckReply is what the static check found, in the order of the actions. State,
// of a plan that was applied, is verified or failed.
type PlanCheckReply struct {
	Plan     string        `json:"plan"`
	State    string        `json:"state,omitempty"`
	Findings []PlanFinding `json:"findings"`
}

// PlanFinding is one thing that an operator should know before a plan runs.
type PlanFinding struct {
	// Error: the plan cannot do its work as it is. Else it is a warning.
	Error  bool   `json:"error"`
	Action string `json:"action,omitempty"` // empty: the plan as a whole
	Rule   string `json:"rule"`
	// About is what a finding whose text has figures is about.
	About string `json:"about,omitempty"`
	Text  string `json:"text"`
	// Since is when a check had it first, of a plan that was applied.
	Since time.Time `json:"since,omitzero"`
}

// Same reports whether two checks have found the same thing. Figures may differ.
func (f PlanFinding) Same(x PlanFinding) bool {
	if f.Error != x.Error || f.Action != x.Action || f.Rule != x.Rule || f.About != x.About {
		return false
	}
	return f.About != "" || f.Text == x.Text
}

// String is the finding in one line.
func (f PlanFinding) String() string {
	s := map[bool]string{true: "error", false: "warning"}[f.Error]
	if f.Action != "" {
		s += ": action " + f.Action
	}
	return s + ": " + f.Text
}
