// Package admission decides whether a frame may enter a group's journal. It is
// pure: the state of the journal and a frame's header in, a verdict out. The
// scripts in testdata show each verdict.
//
// It never lets in a frame twice, out of order, after a missing one, or from a
// capturer that was replaced.
package admission

import (
	"fmt"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
)

// State is what the journal holds: its newest frame.
type State struct {
	Epoch cdp.Epoch   // the highest epoch seen
	No    cdp.FrameNo // the newest frame, 0 for an empty journal
	Head  cdp.Seq     // its last write
	Hash  frame.Hash  // its hash
}

// After is the state once the frame with header h was admitted.
func (s State) After(h frame.Header) State {
	return State{Epoch: h.Epoch, No: h.No, Head: h.Last(), Hash: h.Hash}
}

// Verdict is what to do with a frame.
type Verdict int

const (
	// Accept: the frame is the next one.
	Accept Verdict = iota
	// Duplicate: the frame is already stored; drop it.
	Duplicate
	// Gap: frames before it are missing; ask for them again.
	Gap
	// Fenced: its capturer was replaced; drop it and raise an alarm.
	Fenced
	// Rewound: a newer capturer sends numbers that are already stored, because
	// the stream it continued had lost them. Nothing can be taken from it until
	// it starts again after the journal's newest frame.
	Rewound
	// Broken: it is the next frame by its number, but does not continue the
	// chain. Nothing after it can be trusted.
	Broken
)

func (v Verdict) String() string {
	return [...]string{"accept", "duplicate", "gap", "fenced", "rewound", "broken"}[v]
}

// Decide returns the verdict for a frame with header h and, unless it is Accept,
// the reason as text.
func Decide(s State, h frame.Header) (Verdict, string) {
	switch {
	case h.Epoch < s.Epoch && h.No > s.No:
		return Fenced, fmt.Sprintf("frame %d is of epoch %d, the journal is at epoch %d", h.No, h.Epoch, s.Epoch)
	case h.No == s.No && h.Hash == s.Hash:
		return Duplicate, fmt.Sprintf("frame %d is already stored", h.No)
	case h.No <= s.No && h.Epoch > s.Epoch:
		return Rewound, fmt.Sprintf("frame %d of the new epoch %d, but the journal holds frames up to %d", h.No, h.Epoch, s.No)
	case h.No <= s.No:
		return Duplicate, fmt.Sprintf("frame %d is already stored", h.No)
	case h.No > s.No+1:
		return Gap, fmt.Sprintf("frame %d, but the next one is %d", h.No, s.No+1)
	case h.Prev != s.Hash:
		return Broken, fmt.Sprintf("frame %d does not continue the hash of frame %d", h.No, s.No)
	case h.First != s.Head+1:
		return Broken, fmt.Sprintf("frame %d starts at write %d, but the next one is %d", h.No, h.First, s.Head+1)
	case h.Epoch > s.Epoch && !h.Has(frame.ExtentStart):
		return Broken, fmt.Sprintf("frame %d is of the new epoch %d but starts no extent", h.No, h.Epoch)
	}
	return Accept, ""
}
