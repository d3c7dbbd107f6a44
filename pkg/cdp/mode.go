package cdp

// CaptureMode says how a group's writes are captured.
type CaptureMode string

const (
	// Inline: the VM's disk is capture's export.
	Inline CaptureMode = "inline"
	// Tap: every write is copied to capture's export.
	Tap CaptureMode = "tap"
	// CBT: snapshots, and what changed between them. For VMs only.
	CBT CaptureMode = "cbt"
)

// JournalMode says where the journal keeps base.
type JournalMode string

const (
	// Rollback keeps base close to head.
	Rollback JournalMode = "rollback"
	// RollForward keeps base at horizon, or where merging puts it.
	RollForward JournalMode = "roll-forward"
)
