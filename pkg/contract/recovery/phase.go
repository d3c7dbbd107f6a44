package recovery

// Goal is what a run works towards.
type Goal string

const (
	Recover Goal = "recover"
	Cleanup Goal = "cleanup" // ends a test
	Undo    Goal = "undo"    // takes a production failover back
	Commit  Goal = "commit"  // makes a production failover final
	// Back takes everything back after a failure.
	Back Goal = "back"
)

// Phase is the state of a run for its operator.
type Phase string

const (
	Running   Phase = "running"
	Usable    Phase = "usable" // the disks can be used; the replica is still being moved, or the VM checked
	Ready     Phase = "ready"  // waits for cleanup, undo or commit
	Ending    Phase = "ending"
	Failed    Phase = "failed"
	Cleaned   Phase = "cleaned"
	Undone    Phase = "undone"
	Committed Phase = "committed"
)
