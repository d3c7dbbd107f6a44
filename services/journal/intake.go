package journal

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/core/admission"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/engine/spool"
	"tidemark.dev/pkg/engine/vault"
)

// runIntake takes frames in for ever: it starts again, behind what is stored,
// after every trouble, and says what the trouble is.
func (g *group) runIntake(ctx context.Context) {
	told := time.Time{}
	for ctx.Err() == nil {
		if st := g.vault.State(); st.Halted || st.Sealed {
			state := event.JournalHalted
			if st.Sealed {
				state = event.JournalSealed
			}
			g.become(ctx, state, "the group has been failed over")
			pause(ctx, g.cfg.Beat)
			continue
		}
		if err := g.room(); err != nil {
			g.become(ctx, event.JournalFull, err.Error())
			if now := g.deps.Clock.Now(); now.Sub(told) > time.Minute {
				told = now
				g.deps.Facts.Alarm(ctx, g.id, "full", "the journal takes nothing more in until space is free; the source spools meanwhile")
			}
			pause(ctx, 2*g.cfg.Beat)
			continue
		}
		if g.vault.Broken() != nil {
			if err := g.vault.Recover(ctx); err != nil {
				g.become(ctx, event.JournalFailed, err.Error())
				pause(ctx, 4*g.cfg.Beat)
				continue
			}
		}
		g.resumed(ctx)
		ictx, cancel := context.WithCancel(ctx)
		g.mu.Lock()
		g.intake = cancel
		g.mu.Unlock()
		err := g.takeIn(ictx)
		stopped := ictx.Err() != nil
		cancel()
		if ctx.Err() != nil || stopped && err == nil || g.vault.State().Halted {
			continue
		}
		if err != nil && !cdp.Is(err, cdp.Full) {
			g.refuse(err)
			g.become(ctx, event.JournalFailed, err.Error())
			g.deps.Facts.Alarm(ctx, g.id, "intake", err.Error())
			pause(ctx, 2*g.cfg.Beat)
		}
	}
}

// resumed says so when a failover was undone: until the source is heard nothing
// else is known.
func (g *group) resumed(ctx context.Context) {
	g.mu.Lock()
	was := g.state
	g.mu.Unlock()
	if was == event.JournalHalted {
		g.become(ctx, event.JournalWaiting, "the failover was undone; the source is asked to go on")
	}
}

// restartIntake ends the running intake; another begins.
func (g *group) restartIntake() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.intake != nil {
		g.intake()
	}
}

// arrived is a frame and the message it came in.
type arrived struct {
	frame.Frame
	m spool.Message
}

type batch struct {
	*vault.Batch
	frames []arrived
}

// takeIn is one run of the intake. Four goroutines pass frames on: one pulls
// them off the bus, one admits them, one writes them, one makes them durable and
// tells. Each hand-over is bounded, so the disk's speed reaches the bus.
func (g *group) takeIn(ctx context.Context) error {
	g.vault.Forget()
	from := g.vault.Stored().No + 1
	messages := make(chan spool.Message, g.cfg.Queue)
	frames := make(chan arrived, g.cfg.Queue)
	batches := make(chan batch, 4)
	eg, ctx := errgroup.WithContext(ctx)
	eg.Go(func() error {
		defer close(messages)
		err := g.source.Pull(ctx, from, func(s spool.Status) { g.linkChanged(ctx, s) }, func(m spool.Message) error {
			select {
			case messages <- m:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		switch {
		case ctx.Err() != nil:
			return nil
		case cdp.Is(err, cdp.Corrupt): // what comes next is not there any more
			return &refusal{cause: err}
		}
		return err
	})
	eg.Go(func() error {
		defer close(frames)
		return g.admit(ctx, messages, frames)
	})
	eg.Go(func() error {
		defer close(batches)
		return g.write(ctx, frames, batches)
	})
	eg.Go(func() error { return g.store(ctx, batches) })
	eg.Go(func() error { return g.repeat(ctx) })
	return eg.Wait()
}

func (g *group) linkChanged(ctx context.Context, s spool.Status) {
	g.mu.Lock()
	g.link = s.State
	g.mu.Unlock()
	switch s.State {
	case spool.Flowing:
		g.become(ctx, event.JournalReceiving, "frames come in as they are written")
	case spool.NoStream:
		g.become(ctx, event.JournalEmpty, "the source has not begun to send")
	default:
		reason := string(s.State)
		if s.Err != nil {
			reason = s.Err.Error()
		}
		g.become(ctx, event.JournalLinkDown, reason)
	}
}

// admit decides about what arrives.
func (g *group) admit(ctx context.Context, in <-chan spool.Message, out chan<- arrived) error {
	for m := range in {
		f, ok, err := g.offer(ctx, m)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		select {
		case out <- arrived{f, m}:
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

// write gathers frames into batches, whatever is there when the disk is ready
// for more, up to BatchBytes, and begins to store them.
func (g *group) write(ctx context.Context, in <-chan arrived, out chan<- batch) error {
	for f := range in {
		fs := []arrived{f}
		size := len(f.Bytes())
		for more := true; more && size < g.cfg.BatchBytes; {
			select {
			case f, more = <-in:
				if more {
					fs = append(fs, f)
					size += len(f.Bytes())
				}
			default:
				more = false
			}
		}
		frames := make([]frame.Frame, len(fs))
		for i := range fs {
			frames[i] = fs[i].Frame
		}
		b, err := g.vault.Prepare(frames)
		if err != nil {
			return err
		}
		out <- batch{b, fs} // what was begun is committed, whatever has ended
	}
	return nil
}

func (g *group) offer(ctx context.Context, m spool.Message) (frame.Frame, bool, error) {
	const op = "take in frame"
	f, v, why, err := g.vault.Offer(m.Data)
	if err != nil {
		return f, false, cdp.Wrap(err, op, fmt.Sprint(m.No))
	}
	switch v {
	case admission.Accept:
		if f.No != m.No {
			return f, false, cdp.Errorf(cdp.Corrupt, op, fmt.Sprint(m.No), "the message holds frame %d", f.No)
		}
		return f, true, nil
	case admission.Duplicate:
		return f, false, nil
	case admission.Fenced:
		g.deps.Facts.Alarm(ctx, g.id, "fenced", why)
	}
	return f, false, &refusal{m.No, f.Epoch, cdp.Errorf(cdp.Corrupt, op, fmt.Sprint(m.No), "%s: %s", v, why).
		WithHint("the capturer is told, and starts a new extent behind the journal's newest frame")}
}

// store makes batches durable in order, and tells of each.
func (g *group) store(ctx context.Context, in <-chan batch) error {
	var failed error
	var sincePurge int64
	for b := range in {
		points, err := b.Commit()
		if failed != nil {
			continue
		}
		if err != nil {
			failed = err
			continue
		}
		if err := g.tell(); err != nil && ctx.Err() == nil {
			failed = err
			continue
		}
		last := b.frames[len(b.frames)-1]
		g.noteNewest(last.Header)
		for _, f := range b.frames {
			sincePurge += int64(len(f.Bytes()))
			g.deps.Facts.Stored(ctx, g.id, f.m)
		}
		for _, p := range points {
			o := g.clockNow()
			p.Time, p.Bound = o.target(p.Time), o.Bound
			g.deps.Facts.PointCreated(ctx, g.id, p)
		}
		if sincePurge >= g.cfg.PurgeBytes {
			// Trouble here only means that the stream is longer for a while.
			if g.source.PurgeBehind(ctx, last.No) == nil {
				sincePurge = 0
			}
		}
	}
	return failed
}

func (g *group) noteNewest(h frame.Header) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.received, g.sealed, g.whole = g.deps.Clock.Now(), h.Time(), h.Has(frame.Consistent)
}

// readNewest fills in, after a start, what noteNewest knew.
func (g *group) readNewest() {
	h, ok, err := g.vault.Newest()
	if err != nil || !ok {
		return
	}
	g.received, g.sealed, g.whole = time.Time{}, h.Time(), h.Has(frame.Consistent)
}
