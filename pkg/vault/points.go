package vault

import (
	"context"
	"slices"

	"tidemark.dev/pkg/cdp"
)

// Points are the recovery points that can be used now, oldest first.
func (g *Group) Points() ([]cdp.Point, error) {
	b := g.Bounds()
	var out []cdp.Point
	err := g.store.Points(func(p cdp.Point) error {
		if b.Has(p.Seq) {
			out = append(out, p)
		}
		return nil
	})
	return out, cdp.Wrap(err, "list points", "")
}

// Point is the point of a frame number.
func (g *Group) Point(no cdp.FrameNo) (cdp.Point, error) {
	ps, err := g.Points()
	if err != nil {
		return cdp.Point{}, err
	}
	i := slices.IndexFunc(ps, func(p cdp.Point) bool { return p.Frame == no })
	if i < 0 {
		return cdp.Point{}, cdp.Errorf(cdp.NotFound, "find point", cdp.Point{Frame: no}.ID(), "there is no such recovery point").
			WithHint("list the points that can be recovered with: tidemark point list JOB")
	}
	return ps[i], nil
}

// EditPoint changes a point durably.
func (g *Group) EditPoint(no cdp.FrameNo, edit func(*cdp.Point)) (cdp.Point, error) {
	p, err := g.Point(no)
	if err != nil {
		return p, err
	}
	edit(&p)
	u := g.store.Begin()
	u.PutPoint(p)
	return p, cdp.Wrap(u.Commit(), "change point", p.ID())
}

// DeletePoint takes a point off the list; the history around it stays.
func (g *Group) DeletePoint(ctx context.Context, no cdp.FrameNo) error {
	p, err := g.Point(no)
	if err != nil {
		return err
	}
	// A frame that is not indexed yet would bring its point back after a crash.
	g.move.Lock()
	defer g.move.Unlock()
	if err := g.flushTail(); err != nil {
		return err
	}
	u := g.store.Begin()
	u.DropPoint(no)
	return cdp.Wrap(u.Commit(), "delete point", p.ID())
}

// Halt stops or resumes the intake of frames, durably: a failover in production
// halts it, its undo resumes it.
func (g *Group) Halt(halted bool) error {
	g.move.Lock()
	defer g.move.Unlock()
	st := g.State()
	if st.Sealed {
		return cdp.Errorf(cdp.Conflict, "halt journal", "", "the failover was committed; the journal has ended")
	}
	st.Halted = halted
	return cdp.Wrap(g.setState(g.store.Begin(), st), "halt journal", "")
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
