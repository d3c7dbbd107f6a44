package recovery

// Mode says what a run may change.
type Mode string

const (
	// Test changes nothing of the replica, the journal or production.
	Test Mode = "test"
	// Production is the real thing.
	Production Mode = "production"
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
