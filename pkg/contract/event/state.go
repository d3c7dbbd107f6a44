package event

// CaptureState is what a group's capture is doing.
type CaptureState string

const (
	// Detached: the disk is not served.
	Detached CaptureState = "detached"
	// Seeding: the first copy is in progress.
	Seeding CaptureState = "seeding"
	// Replicating: every write is sent as it happens.
	Replicating CaptureState = "replicating"
	// Overflow: writes are only recorded as changed blocks.
	Overflow CaptureState = "overflow"
	// Resyncing: the recorded blocks are being sent.
	Resyncing CaptureState = "resyncing"
	// NeedsResync: writes were missed that only the tap's client can send again.
	NeedsResync CaptureState = "needs-resync"
	// Fenced: another capturer has taken over the group.
	Fenced CaptureState = "fenced"
	// CaptureStopped: the job was stopped.
	CaptureStopped CaptureState = "stopped"
)

// CaptureStates are the names of all states of a group's capture.
func CaptureStates() []string {
	return names(Detached, Seeding, Replicating, Overflow, Resyncing, NeedsResync, Fenced, CaptureStopped)
}

// ResyncCause is why a group has to send again what it had sent.
type ResyncCause string

const (
	// ResyncOverflow: the link or the target took less than guests wrote.
	ResyncOverflow ResyncCause = "overflow"
	// ResyncRejoined: capture began anew, or lost its place in the stream.
	ResyncRejoined ResyncCause = "rejoined"
	// ResyncTap: the client of a tap missed writes, or was not there.
	ResyncTap ResyncCause = "tap"
	// ResyncDisk: a write failed on the disk, or somebody else wrote to it.
	ResyncDisk ResyncCause = "disk"
)

// ResyncCauses are the names of all causes.
func ResyncCauses() []string { return names(ResyncOverflow, ResyncRejoined, ResyncTap, ResyncDisk) }

// RPOClass is how old the newest recovery point can become in a state.
type RPOClass string

const (
	RPOSubSecond RPOClass = "sub-second"
	RPOSeconds   RPOClass = "seconds"
	RPOMinutes   RPOClass = "minutes"
	RPOUnbounded RPOClass = "unbounded"
)

// JournalState is what a group's journal is doing.
type JournalState string

const (
	// JournalEmpty: the source has not begun to send.
	JournalEmpty JournalState = "empty"
	// JournalReceiving: frames arrive as they are written.
	JournalReceiving JournalState = "receiving"
	// JournalWaiting: no frames arrive, and none are known to be missing.
	JournalWaiting JournalState = "waiting"
	// JournalLinkDown: the source site cannot be reached.
	JournalLinkDown JournalState = "link-down"
	// JournalHalted: a failover has stopped the intake.
	JournalHalted JournalState = "halted"
	// JournalSealed: a failover was committed; the journal has ended.
	JournalSealed JournalState = "sealed"
	// JournalFailed: the journal cannot work; see its reason.
	JournalFailed JournalState = "failed"
	// JournalFull: there is no space for more frames.
	JournalFull JournalState = "full"
	// JournalKept: the job was deleted, and a retention lock keeps its journal.
	JournalKept JournalState = "kept"
)

// JournalStates are the names of all states of a group's journal.
func JournalStates() []string {
	return names(JournalEmpty, JournalReceiving, JournalWaiting, JournalLinkDown, JournalHalted, JournalSealed, JournalFailed, JournalFull, JournalKept)
}

func names[T ~string](states ...T) (out []string) {
	for _, s := range states {
		out = append(out, string(s))
	}
	return out
}

// Stopped reports whether a failover has stopped the intake, so that no recovery
// point can come.
func (s JournalState) Stopped() bool { return s == JournalHalted || s == JournalSealed }

// PointChange is what happened to a recovery point.
type PointChange string

const (
	PointTagged   PointChange = "tagged"
	PointPinned   PointChange = "pinned"
	PointUnpinned PointChange = "unpinned"
	PointTested   PointChange = "tested"
	PointDeleted  PointChange = "deleted"
)

// TransporterState is the state of a transporter.
type TransporterState string

const (
	TransporterDeploying TransporterState = "deploying"
	TransporterReady     TransporterState = "ready" // its journal service answers
	TransporterRemoved   TransporterState = "removed"
	TransporterFailed    TransporterState = "failed"
)

// FilterState is the state of an I/O filter on a cluster. That on one host is
// inventory.FilterState.
type FilterState string

const (
	FilterInstalled       FilterState = "installed"
	FilterPartlyInstalled FilterState = "partly-installed"
	FilterPartlyRemoved   FilterState = "partly-removed"
	FilterRemoved         FilterState = "removed"
	FilterFailed          FilterState = "failed"
)
