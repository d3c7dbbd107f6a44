package vault

import (
	"cmp"
	"context"
	"slices"

	"tidemark.dev/pkg/cdp"
)

// Points are the recovery points that can be used now, oldest first.
func (g *Group) Points() []cdp.Point {
	g.mu.RLock()
	defer g.mu.RUnlock()
	b := g.boundsLocked()
	return slices.DeleteFunc(slices.Clone(g.points), func(p cdp.Point) bool { return !b.Has(p.Seq) })
}

// notePoint sets a point in memory, in place of the one it may have been.
func (g *Group) notePoint(p cdp.Point) {
	i, had := g.findPoint(p.Frame)
	if had {
		g.points[i] = p
	} else {
		g.points = slices.Insert(g.points, i, p)
	}
}

func (g *Group) findPoint(no cdp.FrameNo) (int, bool) {
	return slices.BinarySearchFunc(g.points, no, func(p cdp.Point, no cdp.FrameNo) int { return cmp.Compare(p.Frame, no) })
}

// Point is the point of a frame number.
func (g *Group) Point(no cdp.FrameNo) (cdp.Point, error) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	i, ok := g.findPoint(no)
	if !ok || !g.boundsLocked().Has(g.points[i].Seq) {
		return cdp.Point{}, cdp.Errorf(cdp.NotFound, "find point", cdp.Point{Frame: no}.ID(), "there is no such recovery point").
			WithHint("list the points that can be recovered with: tidemark point list JOB")
	}
	return g.points[i], nil
}

// EditPoint changes a point durably.
func (g *Group) EditPoint(no cdp.FrameNo, edit func(*cdp.Point)) (cdp.Point, error) {
	g.edit.Lock()
	defer g.edit.Unlock()
	p, err := g.Point(no)
	if err != nil {
		return p, err
	}
	edit(&p)
	u := g.store.Begin()
	u.PutPoint(p)
	if err := u.Commit(); err != nil {
		return p, g.breakOn(cdp.Wrap(err, "change point", p.ID()))
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.notePoint(p)
	return p, nil
}

// DeletePoint takes a point off the list; the history around it stays.
func (g *Group) DeletePoint(ctx context.Context, no cdp.FrameNo) error {
	g.edit.Lock()
	defer g.edit.Unlock()
	p, err := g.Point(no)
	if err != nil {
		return err
	}
	// A frame that is not indexed yet would bring its point back after a crash.
	if err := g.flushTail(); err != nil {
		return err
	}
	u := g.store.Begin()
	u.DropPoint(no)
	if err := u.Commit(); err != nil {
		return g.breakOn(cdp.Wrap(err, "delete point", p.ID()))
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if i, ok := g.findPoint(no); ok {
		g.points = slices.Delete(g.points, i, i+1)
	}
	return nil
}

// Halt stops or resumes the intake of frames, durably: a failover in production
// halts it, its undo resumes it. Resumed, the replica counts as back: the caller
// has seen to that.
func (g *Group) Halt(run string, halted bool) error {
	const op = "halt journal"
	g.move.Lock()
	defer g.move.Unlock()
	st := g.State()
	switch {
	case st.Sealed:
		return cdp.Errorf(cdp.Conflict, op, "", "the failover was committed; the journal has ended")
	case st.Released && st.Run != run:
		return cdp.Errorf(cdp.Conflict, op, run, "the run %s has its disks", st.Run)
	}
	st.Halted, st.Run = halted, run
	if !halted {
		st.Run, st.Released = "", false
	}
	return cdp.Wrap(g.setState(g.store.Begin(), st), op, "")
}

// Release notes, durably, that the replica is another machine's until Halt ends:
// base stays where it is. It needs a journal that is halted for the run.
func (g *Group) Release(ctx context.Context, run string) error {
	const op = "release replica"
	g.move.Lock()
	defer g.move.Unlock()
	if err := g.settle(ctx, op); err != nil {
		return err
	}
	st := g.State()
	switch {
	case !st.Halted:
		return cdp.Errorf(cdp.Conflict, op, run, "the journal still takes writes")
	case st.Run != run:
		return cdp.Errorf(cdp.Conflict, op, run, "the journal is halted for the run %s", st.Run)
	case st.Sealed && !st.Released:
		return cdp.Errorf(cdp.Conflict, op, run, "the failover was committed: the replica is the disk")
	case st.Released:
		return nil
	}
	if err := g.replica.Sync(); err != nil {
		return cdp.Wrap(err, op, run)
	}
	st.Released = true
	return cdp.Wrap(g.setState(g.store.Begin(), st), op, run)
}

// Seal ends the journal at base: the replica is the disk from now on, and what
// was after base is void. It needs a halted journal.
func (g *Group) Seal(ctx context.Context) error {
	const op = "seal journal"
	g.move.Lock()
	defer g.move.Unlock()
	if err := g.settle(ctx, op); err != nil {
		return err
	}
	st := g.State()
	if !st.Halted {
		return cdp.Errorf(cdp.Conflict, op, "", "the journal still takes writes")
	}
	st.Sealed = true
	return cdp.Wrap(g.setState(g.store.Begin(), st), op, "")
}
