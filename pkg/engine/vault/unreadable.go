package vault

import (
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
)

// EndBeforeDamage ends history before the first frame after base that cannot be read,
// if there is one, and reports it: base could never pass it, and no point after it could
// be read. The journal is broken from then on; Recover goes on with what is left. Zero
// means that all frames after base can be read.
func (g *Group) EndBeforeDamage() (cdp.FrameNo, error) {
	const op = "end history before damage"
	g.mover.mu.Lock()
	defer g.mover.mu.Unlock()
	if err := g.ledger.check(op); err != nil {
		return 0, err
	}
	oldest, newest := g.ledger.span()
	no, last, why := FirstUnreadable(g.store, g.ledger.State().Base, oldest, newest)
	if no == 0 {
		return 0, cdp.Wrap(why, op, "")
	}
	if err := g.store.EndBefore(no, why); err != nil {
		return 0, cdp.Wrap(err, op, "")
	}
	_ = g.ledger.breakOn(cdp.Wrap(why, op, "")) // no view is opened from here on
	g.views.lose(last)
	return no, nil
}

// Unneeded is up to which frame the index needs no entries. All frames that are stored have
// some, whatever horizon says: a floor may be older than horizon until the entries before
// that are dropped. Only one that went straight into the replica has none.
func Unneeded(l Loaded) cdp.FrameNo {
	if l.Oldest != 0 && l.State.Cursor >= l.Oldest {
		return l.State.Cursor
	}
	return max(1, l.Oldest) - 1
}

// Reindex has the index made anew from the frames, and the journal do without floors and
// checksums, where a part of them cannot be read; it reports whether it does. The journal
// is broken from then on; Recover goes on.
func (g *Group) Reindex() (bool, error) {
	const op = "make damaged tables anew"
	g.mover.mu.Lock()
	defer g.mover.mu.Unlock()
	if err := g.ledger.check(op); err != nil {
		return false, err
	}
	dropped, err := g.store.DropDamaged()
	if dropped {
		_ = g.ledger.breakOn(cdp.Errorf(cdp.Corrupt, op, "", "a part of the index, the floors or the checksums cannot be read"))
	}
	return dropped, cdp.Wrap(err, op, "")
}

// endBeforeUnindexed ends history before the first frame that the index lacks and that
// cannot be read: nobody knows what it wrote, so no point from there on can be read. What
// it wrote is gone from the replica once that went back to the end of history. The store
// must be loaded again.
func (g *Group) endBeforeUnindexed() error {
	found, err := g.store.Load()
	if err != nil {
		return err
	}
	if found.Newest == nil {
		return cdp.Errorf(cdp.NotFound, "end history before damage", "", "no frame is stored")
	}
	no, why := FirstUnindexed(g.store, found.Indexed, found.Oldest, found.Newest.No)
	switch {
	case no != 0:
		return g.store.EndBefore(no, why)
	case why != nil:
		return why
	}
	return cdp.Errorf(cdp.NotFound, "end history before damage", "", "every frame that is not in the index can be read")
}

// FirstUnindexed is the first of the frames from oldest to newest that the index, which
// was made up to frame indexed, lacks, and that is damaged or missing, and why; 0 for none.
func FirstUnindexed(store Store, indexed, oldest, newest cdp.FrameNo) (bad cdp.FrameNo, why error) {
	for no := max(indexed+1, oldest); no <= newest; no++ {
		there := false
		err := store.Tables(no, no, func(frame.Table) error { there = true; return nil })
		switch {
		case err != nil && !cdp.Is(err, cdp.Corrupt):
			return 0, err
		case err != nil:
			return no, err
		case !there:
			return no, missing(no)
		}
	}
	return 0, nil
}

func missing(no cdp.FrameNo) error {
	return cdp.Errorf(cdp.Corrupt, "read frames", "", "frame %d is missing", no)
}

// FirstUnreadable is the first of the frames from oldest to newest that has writes after
// base and is damaged or missing, the last write before it, and why; 0 for none.
func FirstUnreadable(store Store, base cdp.Seq, oldest, newest cdp.FrameNo) (bad cdp.FrameNo, last cdp.Seq, why error) {
	last = base
	begun := false // a frame was found: from there on none may be missing
	for no := oldest; no != 0 && no <= newest; no++ {
		var h frame.Header
		err := store.Tables(no, no, func(t frame.Table) error { h = t.Header; return nil })
		if err == nil && h.No == 0 && begun {
			err = missing(no)
		}
		begun = begun || err != nil || h.No != 0
		if err == nil && bad != 0 {
			if h.First > base+1 {
				break
			}
			bad, why = 0, nil // what is before it has no writes after base
		}
		if err == nil && h.No != 0 && h.Last() > base {
			err = store.Frames(no, no, func(frame.Table, []byte) error { return nil })
		}
		switch {
		case err != nil && !cdp.Is(err, cdp.Corrupt):
			return 0, 0, err
		case err != nil && bad == 0:
			bad, why = no, err
		case err == nil && h.No != 0:
			last = max(last, h.Last())
		}
	}
	return bad, last, why
}
