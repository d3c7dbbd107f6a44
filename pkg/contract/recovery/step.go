package recovery

// Step is one step of a run. Each is a request to another service, and does
// nothing the second time.
type Step string

const (
	FenceVM Step = "fence"   // the VM at the source is powered off, and cannot be powered on
	Drain   Step = "drain"   // the source seals its last frame
	Arrive  Step = "arrive"  // the journal has that frame
	Halt    Step = "halt"    // the journal stops taking writes
	Resolve Step = "resolve" // the requested point becomes a seq, once
	Open    Step = "open"    // the disks are served, writable, over a scratch overlay
	Move    Step = "move"    // the replica is brought to the seq
	Absorb  Step = "absorb"  // the scratch overlay is written into the replica
	Close   Step = "close"   // the exports and their scratch overlay are removed
	Seal    Step = "seal"    // the journal ends: the replica is the disk from now on
	Attest  Step = "attest"  // the verdict of the test is written to the recovery point
	Resume  Step = "resume"  // the journal takes writes again, and its images back if it had released them

	// Of a failover to a VM.

	Release Step = "release" // the journal releases the replica's images
	Build   Step = "build"   // a VM for the test is made, with empty disks at the transporter
	Fill    Step = "fill"    // the point is written to those disks
	Attach  Step = "attach"  // the disks move from the transporter to the VM
	Boot    Step = "boot"    // the VM's networks are set, and it is powered on
	Check   Step = "check"   // the VM is checked: tools, ping, ports, a script
	Stop    Step = "stop"    // the VM is powered off
	Return  Step = "return"  // the disks move back to the transporter, without what the VM wrote
	Keep    Step = "keep"    // what the VM wrote is kept: the replica VM is the VM from now on
	Remove  Step = "remove"  // the test's VM and its disks are deleted
)

// StepStatus is the state of one step.
type StepStatus string

const (
	Pending StepStatus = "pending"
	// Started: its request may have had its effect, or not.
	Started    StepStatus = "started"
	Done       StepStatus = "done"
	StepFailed StepStatus = "failed"
	// Skipped: the run changed its goal before the step began.
	Skipped StepStatus = "skipped"
)
