package journal

import (
	"context"
	"errors"
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

// arrived is a frame and the message it came in.
type arrived struct {
	frame.Frame
	m  spool.Message
	at time.Time
}

type batch struct {
	*vault.Batch
	frames []arrived
	size   int64 // of the frames, in bytes
}

// takeIn is one run of the pipeline. Four goroutines pass frames on: one pulls
// them from the bus, one admits them, one writes them, one makes them durable
// and announces that. Each hand-over is bounded, and so is the memory of all
// groups together, so the disk's speed reaches the bus.
func (x *intake) takeIn(ctx context.Context) error {
	x.vault.ForgetOffered()
	x.quota.reset()
	from := x.vault.Stored().No + 1
	memory := &account{of: x.deps.Memory}
	defer memory.close()
	messages := make(chan spool.Message, x.cfg.Queue)
	frames := make(chan arrived, x.cfg.Queue)
	batches := make(chan batch, 4)
	eg, ctx := errgroup.WithContext(ctx)
	eg.Go(func() error {
		defer close(messages)
		err := x.source.Pull(ctx, from, func(s spool.Status) { x.linkChanged(ctx, s) }, func(m spool.Message) error {
			if err := memory.take(ctx, len(m.Data)); err != nil {
				return err
			}
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
		case cdp.Is(err, cdp.Corrupt): // the next frame is not in the stream any more
			return &refusal{cause: err}
		}
		return err
	})
	eg.Go(func() error {
		defer close(frames)
		return x.admit(ctx, memory, messages, frames)
	})
	eg.Go(func() error {
		defer close(batches)
		return x.write(ctx, frames, batches)
	})
	eg.Go(func() error { return x.store(ctx, memory, batches) })
	eg.Go(func() error { return x.announceAgain(ctx) })
	return eg.Wait()
}

func (x *intake) linkChanged(ctx context.Context, s spool.Status) {
	switch s.State {
	case spool.Flowing:
		x.news.Ring()
		x.state.set(ctx, event.JournalReceiving, "frames arrive as they are written")
	case spool.NoStream:
		x.state.set(ctx, event.JournalEmpty, "the source has not begun to send")
	default:
		reason := string(s.State)
		if s.Err != nil {
			reason = s.Err.Error()
		}
		x.state.set(ctx, event.JournalLinkDown, reason)
	}
}

// admit decides about what arrives.
func (x *intake) admit(ctx context.Context, memory *account, in <-chan spool.Message, out chan<- arrived) error {
	for m := range in {
		at := x.deps.Clock.Now()
		f, ok, err := x.offer(ctx, m)
		if err != nil {
			return err
		}
		if !ok {
			memory.give(len(m.Data))
			continue
		}
		select {
		case out <- arrived{f, m, at}:
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

// write gathers frames into batches, whatever is there when the disk is ready
// for more, up to BatchBytes, and begins to store them once the size limit allows it.
func (x *intake) write(ctx context.Context, in <-chan arrived, out chan<- batch) error {
	for f := range in {
		fs := []arrived{f}
		size := len(f.Bytes())
		for more := true; more && size < x.quota.batch(x.cfg.BatchBytes); {
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
		if err := x.quota.begin(ctx, int64(size)); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		b, err := x.vault.Prepare(frames)
		if err != nil {
			return err
		}
		out <- batch{b, fs, int64(size)} // what was begun is committed, even after ctx ended
	}
	return nil
}

func (x *intake) offer(ctx context.Context, m spool.Message) (frame.Frame, bool, error) {
	const op = "take in frame"
	f, v, why, err := x.vault.Offer(m.Data)
	if outside := (*vault.Outside)(nil); errors.As(err, &outside) {
		if err := x.grow(ctx, outside); err != nil {
			return f, false, cdp.Wrap(err, op, fmt.Sprint(m.No))
		}
		f, v, why, err = x.vault.Offer(m.Data)
	}
	if err != nil {
		return f, false, cdp.Wrap(err, op, fmt.Sprint(m.No))
	}
	switch v {
	case admission.Accept:
		if f.No != m.No {
			return f, false, cdp.Errorf(cdp.Corrupt, op, fmt.Sprint(m.No), "the message holds frame %d", f.No)
		}
		x.signed.note(ctx, f)
		return f, true, nil
	case admission.Duplicate:
		return f, false, nil
	case admission.Fenced:
		x.deps.Facts.Alarm(ctx, x.id, AlarmFenced, why)
	}
	return f, false, &refusal{m.No, f.Epoch, cdp.Errorf(cdp.Corrupt, op, fmt.Sprint(m.No), "%s: %s", v, why).
		WithHint("the capturer is notified, and starts a new extent after the journal's newest frame")}
}

// store makes batches durable in order, and announces each.
func (x *intake) store(ctx context.Context, memory *account, in <-chan batch) error {
	var failed error
	for b := range in {
		points, err := b.Commit()
		x.quota.end(b.size)
		for _, f := range b.frames {
			memory.give(len(f.m.Data))
		}
		if failed != nil {
			continue
		}
		if err != nil {
			failed = err
			continue
		}
		if err := x.announce(); err != nil && ctx.Err() == nil {
			failed = err
			continue
		}
		x.news.Ring()
		x.stored.Ring()
		last := b.frames[len(b.frames)-1]
		x.noteNewest(last.Header)
		now := x.deps.Clock.Now()
		for _, f := range b.frames {
			x.deps.Facts.Stored(ctx, x.id, f.m, max(0, now.Sub(f.at)))
		}
		for _, p := range points {
			p = x.expects.give(ctx, p)
			x.deps.Facts.PointCreated(ctx, x.id, x.times.listed([]cdp.Point{p})[0])
			if p.Doubtful {
				x.clock.doubt(ctx, p)
			}
		}
	}
	return failed
}
