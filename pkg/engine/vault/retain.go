package vault

import (
	"context"
	"slices"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/core/history"
)

// Retain moves horizon up to seq to and gives back the space of what was before
// it: frames, index, floors, points. Base must have passed to already, and no
// view may show less. It goes in steps, each made at once and durably.
func (g *Group) Retain(ctx context.Context, to cdp.Seq) error {
	const op = "move horizon"
	g.move.Lock()
	defer g.move.Unlock()
	if err := g.ready(ctx, op); err != nil {
		return err
	}
	st := g.State()
	if to > st.Base {
		return cdp.Errorf(cdp.Invalid, op, "", "%d is beyond base %d", to, st.Base)
	}
	left, err := g.leave(op, to)
	if err != nil {
		return err
	}
	defer left()
	// What is forgotten must be in the store's index, from where it is dropped.
	if err := g.flushTail(); err != nil {
		return cdp.Wrap(err, op, "")
	}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		g.mu.RLock()
		oldest := g.oldest
		g.mu.RUnlock()
		more, err := g.retainStep(oldest, to)
		if err != nil {
			return cdp.Wrap(err, op, "")
		}
		if !more {
			return nil
		}
	}
}

// retainStep forgets some of what is at or below to, beginning with frame from.
func (g *Group) retainStep(from cdp.FrameNo, to cdp.Seq) (more bool, err error) {
	st := g.State()
	newest := g.Stored().No
	if from == 0 || st.Horizon >= to && !g.anyBelow(from, to) {
		return false, nil
	}
	var entries []IndexEntry
	keep := from // the first frame that stays
	upTo := max(st.Horizon, min(to, st.Base))
	cut := false
	err = g.store.Tables(from, newest, func(t frame.Table) error {
		if t.First > to || len(entries) >= g.cfg.ForgetRecords {
			cut = t.First <= to
			if cut {
				upTo = t.First - 1
			}
			return errStop
		}
		entriesOf(t, 0, to, func(e IndexEntry) { entries = append(entries, e) })
		if t.Last() <= to && t.No < newest {
			keep = t.No + 1
		}
		return nil
	})
	if err != nil && err != errStop {
		return false, err
	}
	upTo = max(upTo, st.Horizon)
	u := g.store.Begin()
	if err := g.moveFloors(u, entries, upTo, st); err != nil {
		u.Discard()
		return false, err
	}
	for _, e := range entries {
		if e.Whole {
			u.DropWhole(e.Disk, e.Region, e.Seq)
		} else {
			u.DropEntry(e.Disk, e.Block, e.Seq)
		}
	}
	u.DropFrames(keep)
	g.edit.Lock()
	defer g.edit.Unlock()
	gone := 0 // points, which are in the order of their seqs
	g.mu.RLock()
	for gone < len(g.points) && g.points[gone].Seq < upTo {
		u.DropPoint(g.points[gone].Frame)
		gone++
	}
	g.mu.RUnlock()
	st.Horizon = upTo
	g.drop.Lock()
	defer g.drop.Unlock()
	if err := g.setState(u, st); err != nil {
		return false, err
	}
	g.mu.Lock()
	g.oldest = keep
	g.points = slices.Delete(g.points, 0, gone)
	g.mu.Unlock()
	return cut, nil
}

// anyBelow reports whether frames wholly at or below to are still stored, as
// after a merge that forgot them.
func (g *Group) anyBelow(from cdp.FrameNo, to cdp.Seq) bool {
	h, ok, err := g.headerFrom(from, from)
	return err == nil && ok && h.Last() <= to && from < g.Stored().No
}

// moveFloors notes what happens to the floors of the blocks that lose entries
// when horizon moves to to.
func (g *Group) moveFloors(u Update, entries []IndexEntry, to cdp.Seq, st State) error {
	r, err := g.store.Reader()
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
	defer g.forgetPresence(t)
	v := &View{g: g, at: to}
	defer v.Close()
	var block [cdp.BlockSize]byte
	for _, k := range t.keys() {
		has, err := g.floorsOf(r, k.disk, k.r)
		if err != nil {
			return err
		}
		for i := range cdp.BlocksPerRegion {
			if !t[k].has(i) && (!has.zero || has.own.has(i)) {
				continue
			}
			b := cdp.Block(k.r)*cdp.BlocksPerRegion + cdp.Block(i)
			later, err := g.newestEntry(r, k.disk, b, st.Base)
			if err != nil {
				return err
			}
			if later <= to {
				later = 0
			}
			switch history.AtHorizon(later, st.Base) {
			case history.SetFloor:
				if err := v.ReadAt(k.disk, block[:], b.Offset()); err != nil {
					return err
				}
				u.PutFloor(k.disk, b, block[:])
			case history.DropFloor:
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
