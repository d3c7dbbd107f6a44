package vault

import (
	"context"
	"slices"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
)

// Before a group's first recovery point nothing can be recovered, and a seed is
// long: its frames are not kept. A batch is written into the replica, the
// replica is made durable, and of the frames only the newest's header stays, as
// the cursor. After a crash the replica may be ahead of the cursor; the frames
// behind it come again, in order, and all of them stand before the first
// consistent one. So the replica is right when that one comes, and not before:
// State.Straight says so, and nothing can be looked at until then.
//
// The very first frame is stored before the replica is touched: a capturer that
// finds an empty journal may believe that the replica is empty, too.

// goesStraight reports whether frames need not be kept. Once some had to be kept
// the rest has to, for the index must be empty.
func (g *Group) goesStraight(frames []frame.Frame) bool {
	return g.straight && !anyConsistent(frames)
}

func anyConsistent(frames []frame.Frame) bool {
	return slices.ContainsFunc(frames, func(f frame.Frame) bool { return f.Has(frame.Consistent) })
}

// keep goes before frames that are kept: what went straight is durable first.
func (g *Group) keep() error {
	g.straight = false
	g.straights.Wait()
	return g.check("end seed")
}

// seeded ends the seed if a consistent frame is stored: base and horizon move to
// the first of them, so that the replica is what they say, and can be looked at.
// The caller holds move.
func (g *Group) seeded(ctx context.Context) error {
	if !g.State().Straight {
		return nil
	}
	var at cdp.Seq
	found := false
	g.mu.RLock()
	oldest, newest := g.oldest, g.stored.No
	g.mu.RUnlock()
	err := g.store.Tables(oldest, newest, func(t frame.Table) error {
		if !t.Has(frame.Consistent) {
			return nil
		}
		at, found = t.Last(), true
		return errStop
	})
	if err != nil && err != errStop || !found {
		return err
	}
	if err := g.raiseTo(ctx, at, true); err != nil {
		return err
	}
	st := g.State()
	st.Horizon, st.Straight = max(st.Horizon, at), false
	return g.setState(g.store.Begin(), st)
}

// applyStraight writes frames into the replica. The next may be written while
// these are made durable: nothing can be looked at anyway.
func (g *Group) applyStraight(frames []frame.Frame) error {
	const op = "seed replica"
	if err := g.check(op); err != nil {
		return err
	}
	if !g.State().Straight {
		if err := g.beginStraight(frames[:1]); err != nil {
			return cdp.Wrap(err, op, "")
		}
	}
	g.seeding.Lock()
	defer g.seeding.Unlock()
	for _, f := range frames {
		if err := g.write(f); err != nil {
			return g.breakOn(cdp.Wrap(err, op, ""))
		}
		g.applied = f.Last()
	}
	return nil
}

// beginStraight stores the first frame as any other, and that the replica is
// about to change.
func (g *Group) beginStraight(first []frame.Frame) error {
	g.move.Lock()
	defer g.move.Unlock()
	if g.Stored().No == 0 {
		p, err := g.store.Prepare(first)
		if err == nil {
			err = p.Begin()
		}
		if err == nil {
			err = p.Commit()
		}
		if err != nil {
			return g.breakOn(err)
		}
		// It is not told yet: with base behind head policy would move base, and
		// write the frame again over those that came after it.
	}
	st := g.State()
	st.Straight = true
	return g.setState(g.store.Begin(), st)
}

// commitStraight returns once frames that were applied are durable there, and
// the newest is the cursor.
func (g *Group) commitStraight(frames []frame.Frame) error {
	const op = "seed replica"
	if err := g.check(op); err != nil {
		return err
	}
	if err := g.replica.Sync(); err != nil {
		return g.breakOn(cdp.Wrap(err, op, ""))
	}
	g.move.Lock()
	defer g.move.Unlock()
	newest := frames[len(frames)-1]
	st := g.State()
	st.Horizon, st.Base, st.Moving = newest.Last(), newest.Last(), newest.Last()
	st.Cursor = newest.No
	u := g.store.Begin()
	u.SkipTo(newest)
	if err := g.setState(u, st); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, f := range frames {
		g.stored = g.stored.After(f.Header)
	}
	g.oldest = newest.No
	return nil
}

// write writes a frame into the replica, in its order.
func (g *Group) write(f frame.Frame) error {
	payload := f.Payload()
	for i := range f.Records {
		r := f.Record(i)
		var err error
		if r.Kind == frame.Zero {
			err = g.replica.Zero(r.Disk, int64(r.Offset), int64(r.Length))
		} else {
			err = g.replica.WriteAt(r.Disk, payload[r.PayloadOff:r.PayloadOff+r.Length], int64(r.Offset))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// notYet is why nothing can be looked at, nil if it can. The caller holds mu.
func (g *Group) notYet(op string) error {
	if !g.state.Straight {
		return nil
	}
	return cdp.Errorf(cdp.NotFound, op, "", "nothing can be recovered yet: the first copy is under way").
		WithHint("it is complete with the first recovery point; see: tidemark status")
}
