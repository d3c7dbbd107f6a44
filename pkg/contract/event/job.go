package event

import "encoding/json"

// JobApply asks the scheduler of a job's target site to write the job's
// description.
type JobApply struct {
	Job string `json:"job"`
	// Document is a ReplicationJob as users write it, as JSON.
	Document json.RawMessage `json:"document"`
}

// EventType implements Payload.
func (JobApply) EventType() string { return "tidemark.cmd.v1.scheduler.job-apply" }

// About implements Payload.
func (p JobApply) About() string { return p.Job }

// JobDelete asks the scheduler to delete a stopped job and its journal.
type JobDelete struct {
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

// EventType implements Payload.
func (JobDelete) EventType() string { return "tidemark.cmd.v1.scheduler.job-delete" }

// About implements Payload.
func (p JobDelete) About() string { return p.Job }

// JobRun asks the scheduler to start a job.
type JobRun struct {
	Job string `json:"job"`
}

// EventType implements Payload.
func (JobRun) EventType() string { return "tidemark.cmd.v1.scheduler.job-run" }

// About implements Payload.
func (p JobRun) About() string { return p.Job }

// JobStop asks the scheduler to stop a job.
type JobStop struct {
	Job string `json:"job"`
}

// EventType implements Payload.
func (JobStop) EventType() string { return "tidemark.cmd.v1.scheduler.job-stop" }

// About implements Payload.
func (p JobStop) About() string { return p.Job }

// JobApplied reports that a job's spec was written.
type JobApplied struct {
	Job      string `json:"job"`
	Revision uint64 `json:"revision"`
}

// EventType implements Payload.
func (JobApplied) EventType() string { return "tidemark.evt.v1.job.applied" }

// About implements Payload.
func (p JobApplied) About() string { return p.Job }

// JobStarted reports that a job runs.
type JobStarted struct {
	Job    string `json:"job"`
	Reason string `json:"reason,omitempty"`
}

// EventType implements Payload.
func (JobStarted) EventType() string { return "tidemark.evt.v1.job.started" }

// About implements Payload.
func (p JobStarted) About() string { return p.Job }

// JobStopped reports that a job was stopped.
type JobStopped struct {
	Job    string `json:"job"`
	Reason string `json:"reason,omitempty"`
}

// EventType implements Payload.
func (JobStopped) EventType() string { return "tidemark.evt.v1.job.stopped" }

// About implements Payload.
func (p JobStopped) About() string { return p.Job }

// JobAlarm reports that what is stored of a job needs attention.
type JobAlarm struct {
	// Job is the name it is stored under, which need not be a job's.
	Job string `json:"job"`
	// Kind is a name; one kind of one job is one alarm.
	Kind string `json:"kind"`
	Text string `json:"text"`
}

// EventType implements Payload.
func (JobAlarm) EventType() string { return "tidemark.evt.v1.job.alarm" }

// About implements Payload.
func (p JobAlarm) About() string { return p.Job }

// JobDeleted reports that a job was deleted.
type JobDeleted struct {
	Job    string `json:"job"`
	Reason string `json:"reason,omitempty"`
}

// EventType implements Payload.
func (JobDeleted) EventType() string { return "tidemark.evt.v1.job.deleted" }

// About implements Payload.
func (p JobDeleted) About() string { return p.Job }
