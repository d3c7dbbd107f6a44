package spec

import (
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/recovery"
)

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
	// Shutdown is how a planned failover powers off the VM at the source; empty: as usual.
	Shutdown recovery.Shutdown `json:"shutdown,omitempty"`
	// Point is latest, last-write, proven, a tag or a point's name; or the newest write at or
	// before Before. With neither it is the last write, and in a test run the newest
	// point.
	Point  string     `json:"point,omitempty"`
	Before *time.Time `json:"before,omitempty"`
	// To is empty for a VM if the job has a replica VM, else NBD.
	To     recovery.Destination `json:"to,omitempty"`
	Listen string               `json:"listen,omitempty"`
}

// ReturnAction brings a machine to the plan's site, from which it was failed over. Of a job
// on VMs it brings one VM.
type ReturnAction struct {
	Job string `json:"job"` // the job that was failed over, or the one that reverses it
	// Overwrite confirms that the old disks are overwritten where they differ, and that
	// points of an earlier round are dropped.
	Overwrite bool `json:"overwrite,omitempty"`
	// Disks are the replicas; none: the old disks, or of a VM the VM that it came from.
	Disks []TargetDisk `json:"disks,omitempty"`
	// Shutdown is how a failback powers off the VM that runs now; empty: as usual.
	Shutdown recovery.Shutdown `json:"shutdown,omitempty"`
}

// Return is what a reprotection or a failback says; nil: the action is neither.
func (a Action) Return() *ReturnAction {
	if a.Reprotect != nil {
		return a.Reprotect
	}
	return a.Failback
}

// PlanAction runs another plan of the site in the mode of the run.
type PlanAction struct {
	Plan string `json:"plan"`
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
	// Status is about what a job's status shows.
	Status *StatusIs `json:"status,omitempty"`
	// VM is one of the plan's site that is on, and whose VMware Tools run.
	VM string `json:"vm,omitempty"` // path, instance UUID or name
}

// StatusIs holds while a condition over the status of a job does; see package predicate.
type StatusIs struct {
	Job   string `json:"job"`
	Holds string `json:"holds"`
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

// GuestScript runs a script of the script directory inside a VM's guest: that of the VM
// which the failover of a job started, or of a VM of the plan's site.
type GuestScript struct {
	Job  string `json:"job,omitempty"`
	VM   string `json:"vm,omitempty"` // path, instance UUID or name
	File string `json:"file"`         // a name, no path
	// Login names the login at the guest, which only the machine of the vcenter service has.
	Login string `json:"login"`
}

// Webhook is a POST of the run's state as JSON. An answer from 200 to 299 is
// success.
type Webhook struct {
	URL string `json:"url"`
}

// PowerAction starts or stops a VM at the plan's site that is nobody's replica. In a test
// run the clean-up takes it back.
type PowerAction struct {
	VM string                `json:"vm"` // path, instance UUID or name
	Do inventory.PowerChange `json:"do"`
}

// Email is a message about the run, sent through the mail server that the site's own
// configuration names.
type Email struct {
	To []string `json:"to"` // addresses
	// Subject and Text; empty: what the run is and how far.
	Subject string `json:"subject,omitempty"`
	Text    string `json:"text,omitempty"`
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
