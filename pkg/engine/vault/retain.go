package vault

import (
	"context"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/core/history"
)

// retain is Group.Retain.
func (m *mover) retain(ctx context.Context, to cdp.Seq) error {
	const op = "move horizon"
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.ready(ctx, op); err != nil {
		return err
	}
	st := m.ledger.State()
	if to > st.Base {
		return cdp.Errorf(cdp.Invalid, op, "", "%d is beyond base %d", to, st.Base)
	}
	if err := m.unheld(to); err != nil {
		return cdp.Wrap(err, op, "")
	}
	lift, err := m.views.barBelow(op, to)
	if err != nil {
		return err
	}
	defer lift()
	// Entries are dropped from the store's index, so they must be there.
	if err := m.index.flush(); err != nil {
		return cdp.Wrap(err, op, "")
	}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		oldest, _ := m.ledger.span()
		more, err := m.retainStep(oldest, to)
		if err != nil {
			return cdp.Wrap(err, op, "")
		}
		if !more {
			return nil
		}
	}
}

// unheld refuses to move horizon past what a retention lock holds.
func (m *mover) unheld(to cdp.Seq) error {
	if from, why := m.cfg.Held(m.points.usable()); why != nil && to > from {
		return why
	}
	return nil
}

// retainStep forgets some of what is at or below to, beginning with frame from.
func (m *mover) retainStep(from cdp.FrameNo, to cdp.Seq) (more bool, err error) {
	st := m.ledger.State()
	newest := m.ledger.Stored().No
	if from == 0 || st.Horizon >= to && !m.anyBelow(from, to) {
		return false, nil
	}
	x, err := m.forgettable(from, newest, to)
	if err != nil {
		return false, err
	}
	upTo := max(st.Horizon, min(x.upTo, st.Base))
	u := m.store.Begin()
	if err := m.moveFloors(u, x.entries, upTo, st); err != nil {
		u.Discard()
		return false, err
	}
	for _, e := range x.entries {
		if e.Whole {
			u.DropWhole(e.Disk, e.Region, e.Seq)
		} else {
			u.DropEntry(e.Disk, e.Block, e.Seq)
		}
	}
	u.DropFrames(x.keep)
	m.points.edit.Lock()
	defer m.points.edit.Unlock()
	gone := m.points.dropBelow(upTo, u)
	st.Horizon = upTo
	m.views.drop.Lock()
	defer m.views.drop.Unlock()
	if err := m.ledger.commit(u, st); err != nil {
		return false, err
	}
	m.ledger.drop(x.keep)
	m.chain.bad.dropBelow(x.keep)
	gone()
	return x.more, nil
}

// forgotten is what one step of a move of horizon forgets.
type forgotten struct {
	entries []IndexEntry
	keep    cdp.FrameNo // the first frame that stays
	upTo    cdp.Seq     // where horizon gets
	more    bool        // another step has to follow
}

// forgettable is what the next step to seq to forgets, from frame oldest on. What a
// frame held that cannot be read is found in the index, so it is in no one's way.
func (m *mover) forgettable(oldest, newest cdp.FrameNo, to cdp.Seq) (x forgotten, err error) {
	x = forgotten{keep: oldest, upTo: to}
	add := func(e IndexEntry) { x.entries = append(x.entries, e) }
	seen := cdp.Seq(0)
	err = m.chain.walk(oldest, newest, 0, func(t frame.Table) error {
		if t.First <= to+1 { // all frames before it are forgotten
			x.keep = t.No
		}
		if t.First > to || len(x.entries) >= m.cfg.ForgetRecords {
			if x.more = t.First <= to; x.more {
				x.upTo = t.First - 1
			}
			return errStop
		}
		entriesOf(t, 0, to, add)
		seen = t.Last()
		if seen <= to && t.No < newest {
			x.keep = t.No + 1
		}
		return nil
	}, func(first, last cdp.Seq) error {
		seen = last
		return m.index.between(first-1, min(last, to), add)
	})
	if err == errStop {
		return x, nil
	}
	if err == nil && seen < to {
		err = m.index.between(seen, to, add)
	}
	return x, err
}

// anyBelow reports whether frames wholly at or below to are still stored, as
// after a merge that forgot them.
func (m *mover) anyBelow(from cdp.FrameNo, to cdp.Seq) bool {
	h, ok, err := m.chain.headerFrom(from, from)
	return err == nil && ok && h.Last() <= to && from < m.ledger.Stored().No
}

// moveFloors notes what happens to the floors of the blocks that lose entries
// when horizon moves to to.
func (m *mover) moveFloors(u Update, entries []IndexEntry, to cdp.Seq, st State) error {
	r, err := m.index.open()
	if err != nil {
		return err
	}
	defer r.Close()
	if _, floors := r.Any(); !floors && to >= st.Base {
		return nil
	}
	t := touched{}
	for _, e := range entries {
		t.add(e)
	}
	defer m.floors.forget(t)
	v := m.views.own(to)
	defer v.Close()
	var block [cdp.BlockSize]byte
	for _, k := range t.keys() {
		has, err := m.floors.of(r, k.disk, k.r)
		if err != nil {
			return err
		}
		for i := range cdp.BlocksPerRegion {
			if !t[k].has(i) && (!has.zero || has.own.has(i)) {
				continue
			}
			b := cdp.Block(k.r)*cdp.BlocksPerRegion + cdp.Block(i)
			later, err := r.newest(k.disk, b, st.Base)
			if err != nil {
				return err
			}
			if later <= to {
				later = 0
			}
			switch history.AtHorizon(later, st.Base) {
			case history.SetFloor:
				err := v.ReadAt(k.disk, block[:], b.Offset())
				m.chain.bad.setFloor(blockKey{k.disk, b}, to, cdp.Is(err, cdp.Corrupt))
				switch {
				case cdp.Is(err, cdp.Corrupt):
					u.PutFloor(k.disk, b, nil) // the points that need it are lost, not the others
				case err != nil:
					return err
				default:
					u.PutFloor(k.disk, b, block[:])
				}
			case history.DropFloor:
				m.chain.bad.setFloor(blockKey{k.disk, b}, to, false)
				if has.own.has(i) {
					u.DropFloor(k.disk, b)
				}
			}
		}
		if has.zero { // every block that needs one has a floor of its own now
			u.DropZeroFloor(k.disk, k.r)
		}
	}
	return nil
}
