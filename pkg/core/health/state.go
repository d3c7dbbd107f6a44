package health

import "tidemark.dev/pkg/contract/inventory"

// State says how well a group, or a job, is protected. That of a VM whose group
// says nothing is its inventory.MemberState; that of a job on several VMs may be
// "2 of 3 protected".
type State string

const (
	// Protected: recovery points are made in time, and both sites say so.
	Protected   State = "protected"
	Stopped     State = "stopped"             // the job is not running
	Starting    State = "starting"            // the job was started a moment ago
	NoData      State = "no data"             // nothing can be recovered, or is measured
	NoNewPoints State = "no new points"       // points are kept, but none is made
	Late        State = "RPO breached"        // the RPO is above its objective
	Settling    State = "settling"            // the RPO is within its objective again, but not for long
	Failed      State = "failed"              // the RPO is above its limit, or a service cannot work
	Seeding     State = "seeding"             // the first copy is in progress
	Resyncing   State = "resyncing"           // changed blocks are copied again; no points meanwhile
	FailedOver  State = "failed over"         // the target has the disks
	FailingOver State = "failing over"        // a production failover is in progress
	NotCaptured State = "not captured"        // the VM's writes are not reported
	PoweredOff  State = "powered off"         // the VM writes nothing
	Unknown     State = "unknown"             // a service does not answer
	Gone              = State(inventory.Gone) // the job no longer selects the VM
)

// severity orders the states of unprotected VMs, the worst first. A state that is
// not in it is the least severe.
var severity = []State{Failed, Late, NoNewPoints, NotCaptured, Resyncing, FailingOver, State(inventory.Refused),
	NoData, Seeding, State(inventory.Preparing), Starting, Unknown, Stopped, Settling, PoweredOff}

// Problem is what is wrong, and what to do about it.
type Problem struct {
	Text string `json:"text"`
	Do   string `json:"do,omitempty"` // empty: nothing, or it is in Text
}
