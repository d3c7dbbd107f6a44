package capture

import "tidemark.dev/pkg/contract/event"

// The states of a group, for its writes. Guest I/O goes on in all of them.
//
//	detached      the stream was not reached since the start. Writes only set
//	              dirty bits.
//	seeding       the disks are being sent for the first time, or the client of a
//	              tap has not said that its copy is complete. No point is
//	              consistent.
//	replicating   every acknowledged write is in a frame, and nothing is dirty.
//	              Only here a frame is Consistent. A cbt group is so between two
//	              cycles.
//	overflow      the window is full of frames that the stream does not take.
//	              Writes only set dirty bits, until half of it has drained.
//	resyncing     dirty regions are being sent.
//	needs-resync  a tap missed writes and has no disk to read them from. Its
//	              client must copy again: CopyStarted, then Synced. A frozen tap
//	              is so whenever it waits for its clients to call Live: at the
//	              start too, and after their goodbye.
//	fenced        another capturer took over. Writes only set dirty bits, for good.
//	stopped       closed.

// facts are what a state follows from.
type facts struct {
	attached   bool // a place in the stream is known
	fenced     bool
	stopped    bool
	full       bool // a frame was needed and no slot was free
	drained    bool // at most half of the slots hold frames the stream lacks, and OverflowHold is over
	dirty      bool // some region is dirty, or which are is not known yet
	seeding    bool // ... because of a seed
	tapLost    bool // a tap missed a write since CopyStarted; frozen: a disk is not live
	tapCopying bool // a tap's client has not called Synced
}

// next is the state of a group in state s with these facts. It is the only
// place where states are chosen.
//
// Overflow has hysteresis: it is entered when full and left when drained.
func next(s event.CaptureState, f facts) event.CaptureState {
	switch {
	case f.stopped || s == event.CaptureStopped:
		return event.CaptureStopped
	case f.fenced || s == event.Fenced:
		return event.Fenced
	case !f.attached:
		return event.Detached
	case f.full || s == event.Overflow && !f.drained:
		return event.Overflow
	case f.tapLost:
		return event.NeedsResync
	case f.tapCopying || f.dirty && f.seeding:
		return event.Seeding
	case f.dirty:
		return event.Resyncing
	}
	return event.Replicating
}

// accepts reports whether writes get a place in a frame in state s.
func accepts(s event.CaptureState) bool {
	return s == event.Replicating || s == event.Seeding || s == event.Resyncing || s == event.NeedsResync
}

// copies reports whether dirty regions are being sent in state s.
func copies(s event.CaptureState) bool { return s == event.Seeding || s == event.Resyncing }
