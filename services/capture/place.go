package capture

import (
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/dirty"
	"tidemark.dev/pkg/frame"
)

// ref is a frame that others stand behind. The zero ref is before the first.
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
	mark   dirty.Mark
	frames []held
	next   uint64 // the ordinal behind frames
}

// loss is what of the acknowledged writes is neither in the stream or journal
// nor in the window.
type loss int

const (
	lostNothing    loss = iota
	lostActivity        // of regions in the activity at most
	lostEverything      // nothing can be said: somebody else wrote
)

// place is the outcome of attaching.
type place struct {
	fenced   bool // a newer capturer's frame is the last
	ask      bool // the journal must be asked for its cursor first
	again    bool // what was told does not fit together; look again
	recreate bool // the stream must start again behind base
	base     ref
	// from is the first frame of the window that belongs behind base; found is
	// false when none of the window can be joined to it: then all of it is lost.
	from  uint64
	found bool
	lost  loss
}

// findPlace decides where in the stream a capturer of this epoch goes on. tail
// and last are the stream's last sequence and header (nil: the message is gone).
// cursor, nil if not asked, was read before them, so that a cursor beyond the
// tail means that the stream lost frames and not that it moved meanwhile. It is
// pure.
//
// It keeps: base is never behind what the journal has; a frame is in the
// stream, or from..., or covered by lost.
func findPlace(k knowledge, epoch cdp.Epoch, tail cdp.FrameNo, last *frame.Header, cursor *ref) place {
	mark := k.mark
	known := mark.Valid && tail == mark.No
	switch {
	case last != nil && last.No != tail:
		return place{again: true}
	case last != nil && last.Epoch > epoch:
		return place{fenced: true}
	case cursor == nil && (!mark.Valid || tail < mark.No || last == nil && !known):
		return place{ask: true}
	}
	var p place
	switch {
	case cursor != nil && cursor.No > tail:
		p.base, p.recreate = *cursor, true
	case last != nil:
		p.base = ref{last.No, last.Hash, last.Last()}
	case known:
		p.base = ref{mark.No, mark.Hash, mark.Last}
	case cursor.No == tail:
		p.base = *cursor
	default: // the message is gone, and the journal does not have it (yet)
		return place{again: true, base: *cursor}
	}
	if p.from, p.found = k.behind(p.base); p.found || !mark.Valid {
		return p // without a mark everything is dirty already
	}
	p.lost = lostEverything
	ownEpoch := last != nil && !p.recreate && mark.FirstEpoch <= last.Epoch && last.Epoch <= mark.Epoch
	if ownEpoch || mark.Origin <= p.base.No && p.base.No <= mark.No {
		p.lost = lostActivity
	}
	return p
}

// behind is the ordinal of the frame that follows base.
func (k knowledge) behind(base ref) (ord uint64, found bool) {
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
