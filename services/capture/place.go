package capture

import (
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/admission"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/engine/dirty"
)

// ref is a frame that others follow. The zero ref is before the first.
type ref struct {
	No   cdp.FrameNo
	Hash frame.Hash
	Last cdp.Seq
}

// held is a closed frame in the window.
type held struct {
	ord    uint64
	sealed bool
	frame.Header
	before frame.Hash // under which it was sealed before
}

// knowledge is what this side remembers: the mark, and the window's frames in
// order.
type knowledge struct {
	mark    dirty.Mark
	frames  []held
	next    uint64 // the ordinal after the last of frames
	strayed bool   // the stream does not continue where the journal ends
}

// loss is which acknowledged writes are in none of stream, journal and window.
type loss int

const (
	lostNothing    loss = iota
	lostActivity        // of regions in the activity at most
	lostEverything      // nothing is known: somebody else wrote
)

// place is the outcome of attaching.
type place struct {
	newer    bool // a frame of a newer epoch is the last: of another capturer, or who gives them out forgot it
	ask      bool // the journal must be asked for its cursor first
	again    bool // stream and journal contradict each other; look again
	recreate bool // the stream must be replaced by one that starts after base
	base     ref
	apart    bool      // base is the journal's, of another epoch than the mark's: its history may have been another
	epoch    cdp.Epoch // the highest that was seen
	// from is the first frame of the window that follows base; found is false when
	// none of the window can be joined to it: then all of it is lost.
	from  uint64
	found bool
	lost  loss
}

// findPlace decides where in the stream a capturer goes on. tail and last are
// the stream's last sequence and header (nil: the message is gone). cursor, nil
// if not asked, was read before them, so that a cursor beyond the tail means
// that the stream lost frames and not that it moved meanwhile. It is pure.
//
// Invariants: base is never older than what the journal has, as far as that is known;
// a frame is in the stream, or from..., or covered by lost.
//
// What the journal has and the stream does not was on the disks before, or is
// older than what is there now, in a region that the activity knows if it is a
// frame of our own. Its epoch says whose it is. Its number does not, for the
// stream may have had other frames with that number since.
func findPlace(k knowledge, tail cdp.FrameNo, last *frame.Header, cursor *admission.State) place {
	mark := k.mark
	known := mark.Valid && tail == mark.No
	switch {
	case last != nil && last.No != tail:
		return place{again: true}
	case cursor == nil && (k.strayed || !mark.Valid || tail < mark.No || last == nil && !known):
		return place{ask: true}
	}
	p := place{epoch: mark.Epoch}
	if last != nil {
		p.epoch = max(p.epoch, last.Epoch)
	}
	var at ref
	if cursor != nil {
		p.epoch = max(p.epoch, cursor.Epoch)
		at = ref{cursor.No, cursor.Hash, cursor.Head}
	}
	ours := func(e cdp.Epoch) bool { return mark.FirstEpoch <= e && e <= mark.Epoch }
	apart := cursor != nil && mark.Valid && cursor.Epoch != mark.Epoch
	var own bool // base and what precedes it are our own
	switch {
	case cursor != nil && (k.strayed || cursor.No > tail):
		p.base, p.recreate, p.apart, own = at, true, apart, ours(cursor.Epoch)
	case last != nil:
		p.base = ref{last.No, last.Hash, last.Last()}
		own = ours(last.Epoch) || last.Epoch <= mark.Epoch && mark.Origin <= last.No && last.No <= mark.No
	case known:
		p.base, own = ref{mark.No, mark.Hash, mark.Last}, true
	case cursor.No == tail:
		p.base, p.apart, own = at, apart, ours(cursor.Epoch)
	default: // the message is gone, and the journal does not have it (yet)
		return place{again: true, base: at}
	}
	if p.from, p.found = k.after(p.base); p.found || !mark.Valid {
		return p // without a mark everything is dirty already
	}
	p.lost = lostEverything
	if own {
		p.lost = lostActivity
	}
	return p
}

// after is the ordinal of the frame that follows base.
func (k knowledge) after(base ref) (ord uint64, found bool) {
	for _, f := range k.frames {
		if f.sealed && (f.Hash == base.Hash || f.before == base.Hash && base.No > 0) {
			return f.ord + 1, true
		}
		if f.sealed && f.No == base.No+1 && f.Prev == base.Hash {
			return f.ord, true
		}
	}
	if !k.mark.Valid || k.mark.No != base.No || k.mark.Hash != base.Hash {
		return 0, false
	}
	for _, f := range k.frames {
		if !f.sealed || f.No > base.No {
			return f.ord, true
		}
	}
	return k.next, true // everything held is in the stream
}
