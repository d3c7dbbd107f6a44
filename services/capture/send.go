package capture

import (
	"context"
	"sync"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/core/frame"
)

// Start attaches the group to its stream and sends until Close. Call it once.
// No trouble of the bus ends it; being fenced ends the sending, not the guest
// I/O.
func (g *Group) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	g.cancel = cancel
	go g.run(ctx)
}

func (g *Group) run(ctx context.Context) {
	defer close(g.done)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { g.herald(ctx) })
	switch {
	case g.job.frozen():
		wg.Go(func() { g.passes(ctx) })
	case g.job.Mode == Inline:
		wg.Go(func() { g.copier(ctx) })
	}
	pauses := clock.Backoff{Min: g.cfg.RetryMin, Max: g.cfg.RetryMax}
	for ctx.Err() == nil {
		acked := g.mark().No
		err := g.attach(ctx)
		if err == nil {
			err = g.send(ctx)
		}
		switch {
		case ctx.Err() != nil:
			return
		case cdp.Is(err, cdp.Fenced):
			g.fence(err)
			for ctx.Err() == nil {
				g.wait(ctx, time.Hour)
			}
			return
		}
		g.trouble(err)
		if g.mark().No > acked {
			pauses.Reset()
		}
		g.wait(ctx, pauses.Next())
	}
}

// send publishes until the place in the stream is in doubt.
func (g *Group) send(ctx context.Context) error {
	pauses := clock.Backoff{Min: g.cfg.RetryMin, Max: g.cfg.RetryMax}
	tick := clock.After(g.deps.Clock, g.cfg.ProgressEvery)
	asked := g.deps.Clock.Now() // the last answer, or the first question behind it
	for ctx.Err() == nil {
		if g.strayed != nil {
			return g.strayed
		}
		f, ok, waiting, later := g.nextFrame()
		var err error
		var due <-chan time.Time
		if later > 0 {
			due = clock.After(g.deps.Clock, later)
		}
		if ok {
			if !waiting {
				asked = g.deps.Clock.Now()
			}
			if err = g.stream.Publish(f); err == nil {
				g.mu.Lock()
				g.sent++
				g.mu.Unlock()
				err = g.drainResults(&asked)
			}
		} else {
			select {
			case <-ctx.Done():
			case <-g.wake:
			case <-due:
			case r := <-g.stream.Results():
				asked = g.deps.Clock.Now()
				err = g.result(r)
			case d := <-g.stream.Durable():
				g.hear(d)
			case now := <-tick:
				tick = clock.After(g.deps.Clock, g.cfg.ProgressEvery)
				g.turn()
				g.recheck()
				g.report()
				if waiting && now.Sub(asked) > g.cfg.AckTimeout {
					err = cdp.Errorf(cdp.Transient, "publish", string(g.job.Group), "no answer in %v", g.cfg.AckTimeout)
				}
			}
		}
		switch {
		case err == nil:
			if ok {
				pauses.Reset()
			}
		case cdp.Is(err, cdp.Transient), cdp.Is(err, cdp.Full):
			g.goBack(ctx, err, pauses.Next())
		default:
			return err
		}
	}
	return nil
}

// drainResults hears what was answered while there is more to send.
func (g *Group) drainResults(asked *time.Time) error {
	for {
		select {
		case r := <-g.stream.Results():
			*asked = g.deps.Clock.Now()
			if err := g.result(r); err != nil {
				return err
			}
		case d := <-g.stream.Durable():
			g.hear(d)
		default:
			return nil
		}
	}
}

// goBack is go back N: everything behind the last acknowledged frame is sent
// again, after a pause.
func (g *Group) goBack(ctx context.Context, why error, pause time.Duration) {
	g.trouble(why)
	g.stream.Reset()
	g.wait(ctx, pause)
	g.mu.Lock()
	g.sent = g.acked
	g.mu.Unlock()
}

// nextFrame closes and seals what there is to send. ok is false when there is
// nothing; then the sender is marked idle, unless there will be something later.
// waiting: answers are outstanding.
func (g *Group) nextFrame() (f frame.Frame, ok, waiting bool, later time.Duration) {
	g.mu.Lock()
	if open, n, full := g.win.Open(); open && n > 0 && g.state.accepts() {
		switch {
		case full:
			g.win.End(g.flags(), g.now())
		case g.sent == g.win.Closed() && int(g.sent-g.acked) < g.cfg.InFlight:
			// A frame costs much more than a write, and its cost is taken from
			// the guest's own processors: so a stream of writes goes out a few
			// hundred microseconds' worth at a time, a lone write at once.
			now := g.deps.Clock.Now()
			gap := g.cfg.gap(n)
			if g.state.copies() { // more is coming, and no point waits for this
				gap = 4 * g.cfg.Gap
			}
			if later = g.parted.Add(gap).Sub(now); later <= 0 {
				g.parted, later = now, 0
				g.win.End(g.flags(), g.now())
			}
		}
	}
	waiting = g.sent > g.acked
	ord := g.sent + 1
	if ord > g.win.Closed() {
		g.idle = later == 0 && (!waiting || int(g.sent-g.acked) < g.cfg.InFlight)
		g.mu.Unlock()
		return f, false, waiting, later
	}
	later = 0
	sealed, no := g.sealed >= ord, g.number(ord)
	g.mu.Unlock()

	if sealed {
		f, _ = g.win.Frame(ord)
		return f, true, waiting, 0
	}
	h := frame.Header{Epoch: g.epoch, No: no, First: g.tail.Last + 1, Prev: g.tail.Hash}
	if g.extent {
		h.Flags |= frame.ExtentStart
	}
	f = g.win.Seal(ord, h)
	g.tail, g.extent = ref{f.No, f.Hash, f.Last()}, false
	g.mu.Lock()
	g.sealed = ord
	g.mu.Unlock()
	return f, true, waiting, 0
}

// result takes the stream's answer.
func (g *Group) result(r Result) error {
	if r.Err != nil {
		return cdp.Wrap(r.Err, "publish", string(g.job.Group))
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ack(r.No)
	return nil
}

// ack: the stream has every frame up to no. Call with mu held.
func (g *Group) ack(no cdp.FrameNo) {
	ord := g.acked + uint64(no-g.number(g.acked))
	if no <= g.number(g.acked) || ord > g.sealed {
		return
	}
	f, _ := g.win.Frame(ord)
	g.acked, g.sent = ord, max(g.sent, ord)
	m := g.book.Mark()
	m.No, m.Hash, m.Last = f.No, f.Hash, f.Last()
	g.book.SetMark(m)
	if g.state == Overflow {
		g.settle("the window has drained")
	}
	if g.state.copies() || g.frozen.pass != nil {
		nudge(g.room)
	}
}

// hear: the journal has what d says on disk.
func (g *Group) hear(d Durable) {
	g.mu.Lock()
	if !g.why.attached {
		g.mu.Unlock()
		return
	}
	if err := g.strays(d); err != nil {
		g.strayed = err
		g.mu.Unlock()
		return
	}
	if d.No > g.number(g.sealed) {
		g.mu.Unlock()
		return
	}
	g.ack(d.No)
	if back := int64(g.number(g.acked)) - int64(d.No); back >= 0 && int64(g.acked) > back {
		g.win.Release(g.acked - uint64(back))
	}
	g.durable = max(g.durable, d.No)
	g.mu.Unlock()
	if d.Epoch == g.epoch {
		g.proven = max(g.proven, d.No)
	}
	g.turn()
}

// strays is how the journal's word shows that its history is not the one that
// the stream goes on with. Conflict: the stream lost what the journal has, and
// what was published since stands under its numbers. A word that was said before
// the journal was asked for the place shows no such thing, however late it comes:
// it had nothing behind base then, and no frame had this epoch. Corrupt: what
// the journal lacks is gone. Call with mu held.
func (g *Group) strays(d Durable) error {
	const op = "follow journal"
	name := string(g.job.Group)
	switch {
	case d.No > g.base.No && d.Epoch != g.epoch:
		return cdp.Errorf(cdp.Conflict, op, name, "the journal has frame %d of epoch %d; behind frame %d those of epoch %d should come", d.No, d.Epoch, g.base.No, g.epoch)
	case d.Refused == 0:
	case d.By == 0 && d.Refused <= g.number(g.acked):
		return cdp.Errorf(cdp.Corrupt, op, name, "the journal has no frames behind %d, and the stream has them no more", d.No)
	case d.By == g.epoch || d.By != 0 && d.Refused <= g.base.No:
		return cdp.Errorf(cdp.Conflict, op, name, "the journal refuses frame %d of epoch %d: it does not follow frame %d of epoch %d", d.Refused, d.By, d.No, d.Epoch)
	}
	return nil
}

// turn forgets the older activity if all of it is durable, at most once in
// ActivityEvery. Only a frame of this epoch proves that what stands before it
// here is what stands before it there: see strays.
func (g *Group) turn() {
	now := g.deps.Clock.Now()
	if g.proven < g.olderLast || now.Sub(g.swapped) < g.cfg.ActivityEvery {
		return
	}
	g.swapped = now
	g.book.ClearOlder() // no write touches it
	g.mu.Lock()
	defer g.mu.Unlock()
	g.book.Swap()
	g.olderLast = g.number(g.win.Last())
}

// recheck leaves overflow also when no answer of the stream asks for it.
func (g *Group) recheck() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.state == Overflow {
		g.settle("the window has drained")
	}
}

// fence: another capturer has taken over.
func (g *Group) fence(err error) {
	g.stream.Reset()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.why.fenced, g.err = true, err
	g.settle(err.Error())
}

func (g *Group) mark() (r ref) {
	g.mu.Lock()
	defer g.mu.Unlock()
	m := g.book.Mark()
	return ref{m.No, m.Hash, m.Last}
}

// wait pauses, and keeps what the journal says.
func (g *Group) wait(ctx context.Context, d time.Duration) {
	over := clock.After(g.deps.Clock, d)
	for {
		select {
		case <-ctx.Done():
			return
		case <-over:
			return
		case d := <-g.stream.Durable():
			g.hear(d)
		}
	}
}
