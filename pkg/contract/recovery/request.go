package recovery

// Mode says what a run may change.
type Mode string

const (
	// Test changes nothing of the replica, the journal or production.
	Test Mode = "test"
	// Production is the real thing.
	Production Mode = "production"
)

// Shutdown says how a production failover to a VM powers off the VM at the source.
type Shutdown string

const (
	// ShutNone leaves its power alone. A planned failover then needs the VM to be off.
	ShutNone Shutdown = "none"
	// ShutGraceful asks the guest to shut down, and refuses the failover if it does not.
	ShutGraceful Shutdown = "graceful"
	// ShutForced asks the guest to shut down, and powers the VM off if it does not.
	ShutForced Shutdown = "forced"
	// ShutNow powers the VM off at once: what an emergency failover does.
	ShutNow Shutdown = "now"
)

// Fence is what the VM at the source must be.
type Fence string

const (
	// Fenced: powered off, and not to be powered on.
	Fenced Fence = "fenced"
	// Restored: it may be powered on, and is on again if fencing it powered it off.
	Restored Fence = "restored"
	// Released: it may be powered on. Its power stays as it is.
	Released Fence = "released"
)

// Destination says how the group's disks are handed out.
type Destination string

const (
	// ToNBD serves the disks over NBD.
	ToNBD Destination = "nbd"
	// ToFiles hands out the replica's image files.
	ToFiles Destination = "files"
	// ToVM runs a VM on the disks, at the site's vCenter.
	ToVM Destination = "vm"
)
