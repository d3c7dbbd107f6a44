package spec

import (
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/recovery"
)

// KindPlan is the kind of a Plan.
const KindPlan = "SiteRecoveryJob"

// Defaults of the actions of a SiteRecoveryJob.
const (
	DefaultRetryEvery = 10 * time.Second
	// DefaultRecoveryTimeout is for failover, undo, commit and cleanup.
	DefaultRecoveryTimeout = 30 * time.Minute
	DefaultAskTimeout      = 30 * time.Minute
	DefaultScriptTimeout   = 5 * time.Minute
	// DefaultReturnTimeout is for reprotect and failback, which copy disks, and runPlan.
	DefaultReturnTimeout = 24 * time.Hour
	DefaultPowerTimeout  = 10 * time.Minute
	// DefaultActionTimeout is for everything else.
	DefaultActionTimeout = time.Minute

	MaxActionTimeout = 24 * time.Hour
)

// ActionMode says in which runs of a plan an action takes part.
type ActionMode string

const (
	InProduction ActionMode = "production"
	InTest       ActionMode = "test"
	InBoth       ActionMode = "both"
)

// In reports whether the action takes part in a run of this mode.
func (m ActionMode) In(run recovery.Mode) bool { return m == InBoth || string(m) == string(run) }

// Plan is a SiteRecoveryJob: actions that recover a site, run in production or as
// a test by the orchestrator of Site.
type Plan struct {
	Name string   `json:"name"`
	Site cdp.Site `json:"site"`
	// Objective is how long a run may take; 0: not set.
	Objective Duration `json:"objective,omitempty"`
	// AutomaticProductionFailover allows triggers to start a production run that no
	// person has agreed to.
	AutomaticProductionFailover bool      `json:"automaticProductionFailover,omitempty"`
	Triggers                    []Trigger `json:"triggers,omitempty"`
	Actions                     []Action  `json:"actions"`
}

// Action is one action of a plan. Exactly one of the fields from RunJob to Ask
// says what is done.
type Action struct {
	Name string     `json:"name"`
	Mode ActionMode `json:"mode"`
	// Group: actions that follow each other in the file and have the same group
	// run at the same time.
	Group string `json:"group,omitempty"`
	// After are the actions that this one waits for. It is always filled in: an
	// action of which the file does not say it waits for the action before it, or for
	// the whole group before it.
	After []string `json:"after"`
	// Critical: if it fails, no further action begins.
	Critical bool `json:"critical"`
	// Background: actions after it begin as soon as it has begun.
	Background bool     `json:"background,omitempty"`
	Retries    int      `json:"retries,omitempty"`
	RetryEvery Duration `json:"retryEvery,omitempty"`
	// Timeout bounds each attempt. 0 for Wait, which ends by itself.
	Timeout Duration `json:"timeout,omitempty"`

	RunJob    *JobAction      `json:"runJob,omitempty"`
	StopJob   *JobAction      `json:"stopJob,omitempty"`
	Failover  *FailoverAction `json:"failover,omitempty"`
	Undo      *EndAction      `json:"undo,omitempty"`
	Commit    *EndAction      `json:"commit,omitempty"`
	Cleanup   *JobAction      `json:"cleanup,omitempty"`
	Reprotect *ReturnAction   `json:"reprotect,omitempty"`
	Failback  *ReturnAction   `json:"failback,omitempty"`
	RunPlan   *PlanAction     `json:"runPlan,omitempty"`
	Wait      Duration        `json:"wait,omitempty"`
	Check     *Condition      `json:"check,omitempty"`
	Script    *Script         `json:"script,omitempty"`
	Guest     *GuestScript    `json:"guest,omitempty"`
	Power     *PowerAction    `json:"power,omitempty"`
	Webhook   *Webhook        `json:"webhook,omitempty"`
	Email     *Email          `json:"email,omitempty"`
	Ask       *Question       `json:"ask,omitempty"`
}

// Job is the job that the action changes or looks at; empty: none.
func (a Action) Job() string {
	switch {
	case a.RunJob != nil:
		return a.RunJob.Job
	case a.StopJob != nil:
		return a.StopJob.Job
	case a.Failover != nil:
		return a.Failover.Job
	case a.Undo != nil:
		return a.Undo.Job
	case a.Commit != nil:
		return a.Commit.Job
	case a.Cleanup != nil:
		return a.Cleanup.Job
	case a.Check != nil && a.Check.RPO != nil:
		return a.Check.RPO.Job
	case a.Check != nil && a.Check.Point != nil:
		return a.Check.Point.Job
	case a.Check != nil && a.Check.Status != nil:
		return a.Check.Status.Job
	case a.Guest != nil:
		return a.Guest.Job
	}
	return ""
}

// Changes reports whether the action changes something of its job.
func (a Action) Changes() bool { return a.Job() != "" && a.Check == nil && a.Guest == nil }

// Verb is what the action does, as the name of its field; empty for an action that
// says nothing.
func (a Action) Verb() string {
	if all := a.verbs(); len(all) > 0 {
		return all[0]
	}
	return ""
}

// verbs are the fields that say what is done.
func (a Action) verbs() (out []string) {
	for _, f := range []struct {
		name string
		set  bool
	}{
		{"runJob", a.RunJob != nil}, {"stopJob", a.StopJob != nil}, {"failover", a.Failover != nil},
		{"undo", a.Undo != nil}, {"commit", a.Commit != nil}, {"cleanup", a.Cleanup != nil},
		{"reprotect", a.Reprotect != nil}, {"failback", a.Failback != nil}, {"runPlan", a.RunPlan != nil},
		{"wait", a.Wait != 0}, {"check", a.Check != nil}, {"script", a.Script != nil}, {"guest", a.Guest != nil}, {"power", a.Power != nil},
		{"webhook", a.Webhook != nil}, {"email", a.Email != nil}, {"ask", a.Ask != nil},
	} {
		if f.set {
			out = append(out, f.name)
		}
	}
	return out
}
