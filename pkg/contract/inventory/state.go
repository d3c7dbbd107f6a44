package inventory

// Power is a VM's power state.
type Power string

const (
	PoweredOn  Power = "on"
	PoweredOff Power = "off"
	Suspended  Power = "suspended"
)

// MemberState is the state of one VM in a job on VMs.
type MemberState string

const (
	// Preparing: its replica VM and disks are being made.
	Preparing MemberState = "preparing"
	// Ready: it replicates, or can.
	Ready MemberState = "ready"
	// Refused: something prevents its protection; see its problems.
	Refused MemberState = "refused"
	// Gone: the job does not select it any more, or the source deleted it. Its
	// replica is kept.
	Gone MemberState = "gone"
	// FailedOver: its replica VM has the disks.
	FailedOver MemberState = "failed-over"
)

// FilterState is the state of an I/O filter on one host.
type FilterState string

const (
	FilterInstalled FilterState = "installed"
	FilterMissing   FilterState = "missing"
	FilterFailed    FilterState = "failed"
	// FilterPending: it is done as soon as something else is: maintenance mode, a
	// reboot, ...
	FilterPending FilterState = "pending"
)
