package inventory

// GuestScript is a script to be run inside a VM's guest by VMware Tools. On Windows it is
// PowerShell, elsewhere POSIX shell.
type GuestScript struct {
	// ID says which run this is: a guest runs the scripts of one ID once, however often
	// that is asked. It is unique among the runs of a VM, and does not depend on time.
	ID             string
	User, Password string
	Windows        bool
	Text           string
	// Env is added to the environment, as "NAME=value". A value has no line breaks.
	Env []string
}

// GuestResult is how a script ended: its exit code, and the last 16 KiB of what it wrote.
type GuestResult struct {
	Exit   int
	Output string
}
