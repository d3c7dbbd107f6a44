package vault

import (
	"context"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/admission"
	"tidemark.dev/pkg/core/frame"
)

// Offer decides about the next frame that came over the bus. An accepted frame
// is checked to the last byte, and must be stored by Store before the next
// batch is offered. Duplicates are no error; every other verdict comes with a
// reason. Offer is called by one goroutine.
func (g *Group) Offer(raw []byte) (frame.Frame, admission.Verdict, string, error) {
	const op = "admit frame"
	if err := g.check(op); err != nil {
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
	for i := range f.Records {
		if r := f.Record(i); int(r.Disk) >= len(g.disks) || r.End() > g.disks[r.Disk].Size {
			return f, admission.Broken, "", cdp.Errorf(cdp.Corrupt, op, "", "frame %d writes disk %d at %d+%d, which is outside the group's disks",
				f.No, r.Disk, r.Offset, r.Length).WithHint("the job's disks differ from what is captured; check their sizes")
		}
	}
	g.offered = g.offered.After(f.Header)
	return f, v, "", nil
}

// Forget takes back what was offered and not committed, after an error.
func (g *Group) Forget() { g.offered = g.Stored() }

// Batch is a run of accepted frames on its way to the disk.
type Batch struct {
	g        *Group
	pending  Pending
	tables   []frame.Table
	straight []frame.Frame // into the replica, instead of pending
}

// Prepare begins to store frames that Offer accepted. Batches are committed in
// the order they were prepared; the next may be prepared meanwhile, which is
// how the disk is kept busy. Until the batch is committed the frames' bytes must
// not change.
func (g *Group) Prepare(frames []frame.Frame) (*Batch, error) {
	g.mu.RLock()
	halted := g.state.Halted
	g.mu.RUnlock()
	if halted {
		return nil, cdp.Errorf(cdp.Conflict, "store frames", "", "the group has been failed over; its journal takes no writes")
	}
	if g.goesStraight(frames) {
		if err := g.applyStraight(frames); err != nil {
			return nil, err
		}
		g.straights.Add(1)
		return &Batch{g: g, straight: frames}, nil
	}
	if err := g.keep(); err != nil {
		return nil, err
	}
	p, err := g.store.Prepare(frames)
	if err == nil {
		err = p.Begin()
	}
	if err != nil {
		return nil, g.breakOn(cdp.Wrap(err, "store frames", ""))
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
		defer g.straights.Done()
		return nil, cdp.Wrap(g.commitStraight(b.straight), op, "")
	}
	if err := b.pending.Commit(); err != nil {
		return nil, g.breakOn(cdp.Wrap(err, op, ""))
	}
	var points []cdp.Point
	for _, t := range b.tables {
		if p, ok := pointOf(t.Header); ok {
			points = append(points, p)
		}
	}
	if len(points) > 0 {
		// Before the frames enter the tail, so that the index can never be
		// marked past a frame whose point is not stored.
		u := g.store.Begin()
		for _, p := range points {
			u.PutPoint(p)
		}
		if err := u.Commit(); err != nil {
			return nil, g.breakOn(cdp.Wrap(err, op, "points"))
		}
	}
	g.addToTail(b.tables, points)
	if g.State().Straight {
		g.move.Lock()
		defer g.move.Unlock()
		if err := g.seeded(context.Background()); err != nil {
			return points, g.breakOn(cdp.Wrap(err, op, "end of the seed"))
		}
	}
	return points, nil
}

// addToTail makes stored frames readable.
func (g *Group) addToTail(tables []frame.Table, points []cdp.Point) {
	g.mu.Lock()
	defer g.mu.Unlock()
	// The tail may be full while the one before it is still being written: then
	// the disk is slower than the bus, and waiting here is what bounds memory.
	for len(g.active.list) >= 2*g.cfg.TailEntries && g.writing && g.unwritten == nil && g.broken == nil {
		g.indexRoom.Wait()
	}
	for _, p := range points {
		g.notePoint(p)
	}
	for _, t := range tables {
		g.active.addFrame(t)
		g.stored = g.stored.After(t.Header)
		if g.oldest == 0 {
			g.oldest = t.No
		}
	}
	if len(g.active.list) >= g.cfg.TailEntries {
		select {
		case g.indexKick <- struct{}{}:
		default:
		}
	}
}

// pointOf is the point a frame makes, if it makes one.
func pointOf(h frame.Header) (cdp.Point, bool) {
	return cdp.Point{Frame: h.No, Seq: h.Last(), Time: time.Unix(0, h.Sealed).UTC(), Requested: h.Has(frame.Requested)},
		h.Has(frame.Marker | frame.Consistent)
}

// runIndexer writes full tails to the store. What could not be written stays
// readable in memory, and is tried again.
func (g *Group) runIndexer(ctx context.Context) {
	var again <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-g.indexKick:
		case <-again:
		}
		again = nil
		if g.flushTail() != nil {
			again = time.After(time.Second)
		}
	}
}

// flushTail writes the tail to the store as one sorted run. After an error
// nothing has changed.
func (g *Group) flushTail() error {
	for {
		t, err := g.takeTail()
		if t == nil || err != nil {
			return err
		}
		if err = g.store.AddIndex(t.upTo, t.sorted()); err == nil {
			g.gen.Add(1) // before the tail goes: a view finds the entries in one of them
		}
		g.mu.Lock()
		if err == nil {
			g.flushing = nil
		}
		g.writing, g.unwritten = false, err
		g.indexRoom.Broadcast()
		g.mu.Unlock()
		if err != nil {
			return cdp.Wrap(err, "store index", "")
		}
	}
}

// takeTail is the tail to be written next: one that could not be written before,
// or the active one, in whose place a new one begins. Nil when there is nothing.
func (g *Group) takeTail() (*tail, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.writing && g.broken == nil {
		g.indexRoom.Wait()
	}
	if g.broken != nil {
		return nil, g.broken
	}
	if g.flushing == nil {
		if g.active.upTo == 0 {
			return nil, nil
		}
		g.flushing, g.active = g.active, newTail()
	}
	g.writing = true
	return g.flushing, nil
}
