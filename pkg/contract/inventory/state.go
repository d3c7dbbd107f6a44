package inventory

// Power is a VM's power state.
type Power string

const (
	PoweredOn  Power = "on"
	PoweredOff Power = "off"
	Suspended  Power = "suspended"
)

// PowerChange is what is done to a VM's power.
type PowerChange string

const (
	PowerStart PowerChange = "start"
	// PowerShutdown asks the guest to shut down, and fails if it does not.
	PowerShutdown PowerChange = "shutdown"
	// PowerOff powers the VM off at once.
	PowerOff PowerChange = "off"
)

// Known reports whether it is one of the above.
func (c PowerChange) Known() bool { return c == PowerStart || c == PowerShutdown || c == PowerOff }

// Power is the state that it leads to.
func (c PowerChange) Power() Power {
	if c == PowerStart {
		return PoweredOn
	}
	return PoweredOff
}

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
