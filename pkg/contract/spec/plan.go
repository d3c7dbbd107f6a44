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

	RunJob   *JobAction      `json:"runJob,omitempty"`
	StopJob  *JobAction      `json:"stopJob,omitempty"`
	Failover *FailoverAction `json:"failover,omitempty"`
	Undo     *EndAction      `json:"undo,omitempty"`
	Commit   *EndAction      `json:"commit,omitempty"`
	Cleanup  *JobAction      `json:"cleanup,omitempty"`
	Wait     Duration        `json:"wait,omitempty"`
	Check    *Condition      `json:"check,omitempty"`
	Script   *Script         `json:"script,omitempty"`
	Webhook  *Webhook        `json:"webhook,omitempty"`
	Ask      *Question       `json:"ask,omitempty"`
}

// JobAction is about one replication job.
type JobAction struct {
	Job string `json:"job"`
}

// EndAction ends a job's production failover.
type EndAction struct {
	Job string `json:"job"`
	// Force disconnects clients of the disks and closes exports.
	Force bool `json:"force,omitempty"`
}

// FailoverAction brings a job's disks to a point: a test failover in a test run.
type FailoverAction struct {
	Job string `json:"job"`
	// Planned includes the source's last writes. In a test run it has no effect.
	Planned bool `json:"planned,omitempty"`
	// Point is latest, last-write, a tag or a point's name; or the newest write at or
	// before Before. With neither it is the last write, and in a test run the newest
	// point.
	Point  string     `json:"point,omitempty"`
	Before *time.Time `json:"before,omitempty"`
	// To is empty for a VM if the job has a replica VM, else NBD.
	To     recovery.Destination `json:"to,omitempty"`
	Listen string               `json:"listen,omitempty"`
}

// Condition is what a check waits for. Exactly one field is set.
type Condition struct {
	RPO   *RPOBelow   `json:"rpo,omitempty"`
	Point *PointAge   `json:"point,omitempty"`
	Port  string      `json:"port,omitempty"` // host:port that takes connections
	HTTP  *HTTPStatus `json:"http,omitempty"`
	// Reachable and Unreachable are sites whose services answer, or do not.
	Reachable   cdp.Site `json:"reachable,omitempty"`
	Unreachable cdp.Site `json:"unreachable,omitempty"`
}

// RPOBelow holds while a job would lose less than Below.
type RPOBelow struct {
	Job   string   `json:"job"`
	Below Duration `json:"below"`
}

// PointAge holds while a job's newest recovery point is younger than YoungerThan.
type PointAge struct {
	Job         string   `json:"job"`
	YoungerThan Duration `json:"youngerThan"`
}

// HTTPStatus holds while a GET of URL answers with Status.
type HTTPStatus struct {
	URL    string `json:"url"`
	Status int    `json:"status"`
}

// Script is a program in the script directory of the orchestrator's site.
type Script struct {
	File string   `json:"file"` // a name, no path
	Args []string `json:"args,omitempty"`
}

// Webhook is a POST of the run's state as JSON. An answer from 200 to 299 is
// success.
type Webhook struct {
	URL string `json:"url"`
}

// Question asks a person to go on. Without an answer in time, Default is taken.
type Question struct {
	Text    string `json:"text"`
	Default Answer `json:"default"`
}

// Answer is what a person says to a Question.
type Answer string

const (
	Approve Answer = "approve"
	Refuse  Answer = "refuse"
)

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
	}
	return ""
}

// Changes reports whether the action changes something of its job.
func (a Action) Changes() bool { return a.Job() != "" && a.Check == nil }

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
		{"wait", a.Wait != 0}, {"check", a.Check != nil}, {"script", a.Script != nil}, {"webhook", a.Webhook != nil}, {"ask", a.Ask != nil},
	} {
		if f.set {
			out = append(out, f.name)
		}
	}
	return out
}
