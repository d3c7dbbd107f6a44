package capture

// State is what a group's replication is doing. Guest I/O goes on in all of
// them.
type State string

const (
	// Detached: the stream was not reached since the start. Writes only dirty.
	Detached State = "detached"
	// Seeding: the disks are being sent for the first time, or a tap's client
	// has not told that its copy is complete. No point is consistent.
	// Between two cycles a cbt group is Replicating.
	Seeding State = "seeding"
	// Replicating: every acknowledged write is in a frame, nothing is dirty.
	// Only here a frame is Consistent.
	Replicating State = "replicating"
	// Overflow: the window is full of frames the stream does not take. Writes
	// only dirty, until half of it has drained.
	Overflow State = "overflow"
	// Resyncing: dirty regions are being sent.
	Resyncing State = "resyncing"
	// NeedsResync: a tap missed writes and has no disk to read them from. Its
	// client must copy again: CopyStarted, then Synced. A frozen tap is so
	// whenever it waits for its clients to tell Live: at the start too, and
	// behind their goodbye.
	NeedsResync State = "needs-resync"
	// Fenced: another capturer took over. Writes only dirty, for good.
	Fenced State = "fenced"
	// Stopped: closed.
	Stopped State = "stopped"
)

// facts are what a state follows from.
type facts struct {
	attached   bool // a place in the stream is known
	fenced     bool
	stopped    bool
	full       bool // a frame was needed and no slot was to be had
	drained    bool // at most half of the slots hold frames the stream lacks, and it is a while that they were full
	dirty      bool // some region is dirty, or which are is not known yet
	seeding    bool // ... because of a seed
	tapLost    bool // a tap missed a write since CopyStarted; frozen: a disk is not live
	tapCopying bool // a tap's client has not told Synced
}

// next is the state of a group in state s with these facts. It is the only
// place where states are chosen.
//
// Overflow has hysteresis: it is entered when full and left when drained.
func next(s State, f facts) State {
	switch {
	case f.stopped || s == Stopped:
		return Stopped
	case f.fenced || s == Fenced:
		return Fenced
	case !f.attached:
		return Detached
	case f.full || s == Overflow && !f.drained:
		return Overflow
	case f.tapLost:
		return NeedsResync
	case f.tapCopying || f.dirty && f.seeding:
		return Seeding
	case f.dirty:
		return Resyncing
	}
	return Replicating
}

// accepts reports whether writes get a place in a frame.
func (s State) accepts() bool {
	return s == Replicating || s == Seeding || s == Resyncing || s == NeedsResync
}

// copies reports whether dirty regions are being sent.
func (s State) copies() bool { return s == Seeding || s == Resyncing }
