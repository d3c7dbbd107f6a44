package api

import (
	"time"

	"tidemark.dev/pkg/contract/spec"
)

// Scheduler endpoints, served at a job's target site. The scheduler is the only
// writer of jobs.
const (
	JobApply  = "job-apply"  // ApplyRequest -> ApplyReply
	JobDelete = "job-delete" // JobDeleteRequest -> Progress: ask again until Done
	// JobReprotect is asked at the site that a failed over job came from:
	// ReprotectRequest -> ReprotectReply: ask again until Done.
	JobReprotect = "job-reprotect"

	// JobApprove takes what one person agrees to: approval.Line -> ApproveReply.
	JobApprove = "approve"

	// The jobs of single VMs, which the vcenter service derives from jobs on VMs.
	VMGroupApply  = "group-apply"  // VMGroupApplyRequest -> Empty
	VMGroupDelete = "group-delete" // GroupRequest -> Empty: none is no error
)

// ApproveReply says who has agreed to an act by now, and how many have to.
type ApproveReply struct {
	// Agreed names those who have.
	Agreed []string `json:"agreed"`
	// Needed is how many have to.
	Needed int `json:"needed"`
}

// JobDeleteRequest deletes a stopped job and its journal.
type JobDeleteRequest struct {
	Job string `json:"job"`
	// DropPoints deletes the job even if it has recovery points.
	DropPoints bool `json:"dropPoints,omitempty"`
	// Force deletes it even if its points are being exported; the exports are closed.
	Force bool `json:"force,omitempty"`
	// Replicas deletes the replica VMs of a job on VMs, too.
	Replicas bool `json:"replicas,omitempty"`
	// ForgetOwed deletes it even if a failover still has something to do at the source,
	// which then is never done.
	ForgetOwed bool `json:"forgetOwed,omitempty"`
}

// VMGroupApplyRequest writes the job of one VM. Its Of names the job on VMs.
type VMGroupApplyRequest struct {
	Job spec.ReplicationJob `json:"job"`
}

// Desired is what an operator wants of a job.
type Desired string

const (
	DesiredRunning Desired = "running"
	DesiredStopped Desired = "stopped"
)

// RunState is what is stored of a job's running, in the state bucket under
// subjects.KeyJob. A job without one is stopped.
type RunState struct {
	Desired Desired   `json:"desired"`
	Reason  string    `json:"reason,omitempty"`
	Since   time.Time `json:"since,omitzero"`
	// Command is the id of the command that set it: the same command again emits
	// its event again, in case that was lost.
	Command string `json:"command,omitempty"`
	// Deleted is the revision of the spec that Command deletes; 0: none.
	Deleted uint64 `json:"deleted,omitempty"`
}

// Running reports whether the job should run. A nil state is a stopped job.
func (s *RunState) Running() bool { return s != nil && s.Desired == DesiredRunning }
