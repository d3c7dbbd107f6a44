package vault

import (
	"context"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/admission"
	"tidemark.dev/pkg/core/frame"
)

// Offer decides about the next frame that came over the bus. An accepted frame
// is checked to the last byte; Prepare takes it. Duplicates are no error; every
// other verdict comes with a reason. An error with an Outside says that the group's
// disks must grow first. Offer is called by one goroutine.
func (g *Group) Offer(raw []byte) (frame.Frame, admission.Verdict, string, error) {
	const op = "admit frame"
	if err := g.ledger.check(op); err != nil {
		return frame.Frame{}, admission.Broken, "", err
	}
	f, err := frame.Parse(raw)
	if err != nil {
		return frame.Frame{}, admission.Broken, "", cdp.Wrap(err, op, "")
	}
	v, why := admission.Decide(g.offered, f.Header)
	if v != admission.Accept {
		return f, v, why, nil
	}
	if err := f.Verify(); err != nil {
		return f, admission.Broken, "", cdp.Wrap(err, op, "")
	}
	if err := g.outside(f); err != nil {
		return f, admission.Broken, "", &cdp.Error{Op: op, Kind: cdp.Corrupt, Cause: err, Hint: "the job's disks differ from what is captured; check their sizes"}
	}
	g.offered = g.offered.After(f.Header)
	return f, v, "", nil
}

// ForgetOffered takes back what was offered and not committed, after an error.
func (g *Group) ForgetOffered() { g.offered = g.Stored() }

// Batch is a run of accepted frames on its way to the disk.
type Batch struct {
	g        *Group
	pending  Pending
	tables   []frame.Table
	straight []frame.Frame // went into the replica instead
	sums     []blockSum    // of what they wrote there
}

// Prepare begins to store frames that Offer accepted. Batches are committed in
// the order they were prepared; the next may be prepared meanwhile, which is
// how the disk is kept busy. Until the batch is committed the frames' bytes must
// not change.
func (g *Group) Prepare(frames []frame.Frame) (*Batch, error) {
	const op = "store frames"
	if g.State().Halted {
		return nil, cdp.Errorf(cdp.Conflict, op, "", "the group has been failed over; its journal takes no writes")
	}
	if g.seed.takes(frames) {
		sums, err := g.seed.apply(frames)
		if err != nil {
			return nil, err
		}
		return &Batch{g: g, straight: frames, sums: sums}, nil
	}
	if err := g.seed.end(); err != nil {
		return nil, err
	}
	p, err := g.store.Prepare(frames)
	if err == nil {
		err = p.Begin()
	}
	if err != nil {
		return nil, g.ledger.breakOn(cdp.Wrap(err, op, ""))
	}
	b := &Batch{g: g, pending: p, tables: make([]frame.Table, len(frames))}
	for i, f := range frames {
		b.tables[i] = f.Table()
	}
	return b, nil
}

// Commit returns once the frames are durable and can be read, with the points
// that they make.
func (b *Batch) Commit() ([]cdp.Point, error) {
	const op = "store frames"
	g := b.g
	if b.straight != nil {
		return nil, cdp.Wrap(g.seed.commit(b.straight, b.sums), op, "")
	}
	if err := b.pending.Commit(); err != nil {
		return nil, g.ledger.breakOn(cdp.Wrap(err, op, ""))
	}
	// The points before the index, so that it can never be marked past a frame
	// whose point is not stored; the index before head, so that a reader
	// that sees a write can read it.
	points, err := g.points.add(b.tables)
	if err != nil {
		return nil, g.ledger.breakOn(cdp.Wrap(err, op, "points"))
	}
	g.index.add(b.tables)
	g.ledger.advance(b.tables)
	if g.State().Straight {
		g.mover.mu.Lock()
		defer g.mover.mu.Unlock()
		if err := g.seed.finish(context.Background()); err != nil {
			return points, g.ledger.breakOn(cdp.Wrap(err, op, "end of the seed"))
		}
	}
	return points, nil
}
