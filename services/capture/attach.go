package capture

import (
	"context"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/admission"
	"tidemark.dev/pkg/core/frame"
)

// patience is how often a stream whose last message is gone, and that the
// journal is behind of, is looked at before it is started again.
const patience = 20

// attach finds the group's place in the stream, at the start and whenever the
// stream turns out to be elsewhere. Guest I/O goes on meanwhile.
func (g *Group) attach(ctx context.Context) error {
	const op = "attach"
	name := string(g.job.Group)
	g.stream.Reset()
	for len(g.stream.Results()) > 0 {
		<-g.stream.Results()
	}
	epoch, fresh := g.epoch, false
	take := func() error {
		ctx, cancel := context.WithTimeout(ctx, g.cfg.AskTimeout)
		defer cancel()
		e, err := g.deps.Epochs.Next(ctx, g.job.Group, g.taken)
		if err == nil && e <= g.taken {
			err = cdp.Errorf(cdp.Internal, "take epoch", name, "got %d after %d", e, g.taken)
		}
		if err == nil {
			g.taken = e // ours, even if the place is not taken in the end
		}
		epoch, fresh = e, true
		return cdp.Wrap(err, op, name)
	}
	if epoch == 0 {
		if err := take(); err != nil {
			return err
		}
	}
	k := g.known()
	p, last, err := g.look(ctx, k, epoch)
	for err == nil && p.newer {
		if err = take(); err == nil {
			p, last, err = g.look(ctx, k, epoch)
		}
	}
	if err != nil {
		return err
	}
	// A new place needs a new epoch, and one above all that stand in stream and
	// journal, which may have lost less than who gives epochs out.
	for anew := !fresh && !g.continues(k, p, last); anew || epoch < p.epoch || fresh && epoch == p.epoch; anew = false {
		if err := take(); err != nil {
			return err
		}
	}
	switch {
	case g.job.frozen() && (p.apart || g.strayed != nil):
		p.found, p.lost = false, lostEverything // what was compared may have been compared with another history
	case !p.found && (cdp.Is(g.strayed, cdp.Corrupt) || p.base.No < g.proven):
		p.lost = lostEverything // the journal went back, or may have: of that the activity is forgotten
	}
	if p.recreate {
		if err := g.recreate(ctx, p.base.No+1); err != nil {
			return err
		}
	}
	if p.base.No == 0 && g.job.Mode == Inline {
		g.narrow()
	}
	g.bare(p.base.No == 0)
	err = g.join(p, epoch, fresh)
	if err == nil {
		g.strayed = nil
		g.trouble(nil) // what kept it from attaching is over
	}
	return err
}

// look asks stream and, if need be, journal until a place is found.
func (g *Group) look(ctx context.Context, k knowledge, epoch cdp.Epoch) (p place, last *frame.Header, err error) {
	const op = "attach"
	name := string(g.job.Group)
	ctx, cancel := context.WithTimeout(ctx, g.cfg.AskTimeout)
	defer cancel()
	tail, last, err := g.stream.Tail(ctx)
	if err != nil {
		return p, nil, cdp.Wrap(err, op, name)
	}
	if last != nil && last.Epoch > epoch {
		return place{newer: true}, last, nil
	}
	var cursor admission.State
	if p = findPlace(k, tail, last, nil); p.ask {
		if cursor, err = g.deps.Journal.Cursor(ctx, g.job.Group); err != nil {
			return p, nil, cdp.Wrap(err, op+" (ask the journal)", name)
		}
		if tail, last, err = g.stream.Tail(ctx); err != nil {
			return p, nil, cdp.Wrap(err, op, name)
		}
		p = findPlace(k, tail, last, &cursor)
	}
	if !p.again {
		g.puzzled = 0
		return p, last, nil
	}
	if g.puzzled++; g.puzzled < patience || last != nil {
		return p, nil, cdp.Errorf(cdp.Transient, op, name, "the stream's frame %d is gone and the journal has %d", tail, p.base.No)
	}
	// Somebody purged what the journal never got.
	k.strayed = true
	return findPlace(k, tail, nil, &cursor), nil, nil
}

// continues reports whether the frames behind the place were sealed for it in
// this epoch, so that they can go out again as they are.
func (g *Group) continues(k knowledge, p place, last *frame.Header) bool {
	if !p.found || p.recreate {
		return false
	}
	for _, f := range k.frames {
		if f.ord == p.from && f.sealed {
			return f.Epoch == g.epoch && f.No == p.base.No+1 && f.Prev == p.base.Hash
		}
	}
	return last != nil && last.Epoch == g.epoch
}

func (g *Group) recreate(ctx context.Context, first cdp.FrameNo) error {
	ctx, cancel := context.WithTimeout(ctx, g.cfg.AskTimeout)
	defer cancel()
	if err := g.stream.Recreate(ctx, first); err != nil {
		return cdp.Wrap(err, "recreate stream", string(g.job.Group))
	}
	select {
	case <-g.stream.Durable(): // of the stream before
	default:
	}
	return nil
}

// join takes the place. It is done whole, or not at all and has to be repeated.
func (g *Group) join(p place, epoch cdp.Epoch, fresh bool) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	reason := "attached"
	if p.found && p.from < g.win.First() {
		return cdp.Errorf(cdp.Transient, "attach", string(g.job.Group), "frame was given up meanwhile")
	}
	if !p.found {
		if open, _, _ := g.win.Open(); open {
			g.win.End(0, g.now())
		}
		switch {
		case p.lost == lostNothing:
		case g.job.Mode == Tap && !g.job.Frozen:
			for _, d := range g.disks {
				d.lost, d.synced = true, false
			}
			g.why.tapLost, g.why.tapCopying = true, true
			reason = "frames were lost"
		case p.lost == lostActivity:
			g.book.Lose()
			reason = "frames were lost before the journal had them"
		case g.strayed != nil:
			g.book.Lose()
			g.book.SetAll()
			reason = "frames were lost, and what the journal has instead is not known"
		default:
			g.book.Lose()
			g.book.SetAll()
			reason = "another capturer wrote in between"
		}
		g.copy.void = true
		g.lose(p.lost)
		g.win.Release(g.win.Closed())
		p.from = g.win.First()
	}
	g.from, g.base = p.from, p.base
	g.acked, g.sent = p.from-1, p.from-1
	if fresh {
		g.proven = 0
		g.sealed = p.from - 1
		g.tail, g.extent = p.base, true
	} else if g.sealed < p.from {
		g.sealed, g.tail = p.from-1, p.base
	}
	g.seq = p.base.Last
	for ord := g.from; ord <= g.win.Last(); ord++ {
		g.seq += cdp.Seq(g.win.Records(ord))
	}
	m := g.book.Mark()
	if !m.Valid || p.lost == lostEverything {
		m.Origin = p.base.No
	}
	if epoch != m.Epoch {
		if epoch != m.Epoch+1 || !m.Valid {
			m.FirstEpoch = epoch
		}
		m.Epoch = epoch
	}
	m.Valid, m.No, m.Hash, m.Last = true, p.base.No, p.base.Hash, p.base.Last
	g.book.SetMark(m)
	g.book.Merge()
	g.olderLast = g.number(g.win.Last())
	g.epoch, g.virgin = epoch, false
	g.why.attached = true
	g.settle(reason)
	nudge(g.room) // the window may have drained, without a change of state
	return nil
}

// known is what the window and the mark tell.
func (g *Group) known() knowledge {
	g.mu.Lock()
	defer g.mu.Unlock()
	k := knowledge{mark: g.book.Mark(), next: g.win.Closed() + 1, strayed: g.strayed != nil}
	for ord := g.win.First(); ord <= g.win.Closed(); ord++ {
		h := held{ord: ord, before: g.win.Before(ord)}
		var f frame.Frame
		f, h.sealed = g.win.Frame(ord)
		h.Header = f.Header
		k.frames = append(k.frames, h)
	}
	return k
}

// narrow limits a first seed to what is allocated. Guests may write meanwhile:
// their writes only dirty.
func (g *Group) narrow() {
	g.mu.Lock()
	virgin := g.virgin
	g.virgin = false
	if virgin {
		g.book.Narrow()
	}
	g.mu.Unlock()
	if !virgin {
		return
	}
	for _, d := range g.disks {
		for off := int64(0); off < d.Size; {
			for _, e := range d.dev.Extents(off, d.Size-off) {
				if !e.Hole {
					g.book.Set(d.ID, off, min(e.Length, d.Size-off))
				}
				if off += e.Length; off >= d.Size {
					break
				}
			}
		}
	}
	g.book.Narrowed()
}
