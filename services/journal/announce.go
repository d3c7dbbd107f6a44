package journal

import (
	"context"
	"errors"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/engine/spool"
)

// announce tells capture which frames are durable.
func (x *intake) announce() error {
	s := x.vault.Stored()
	if s.No == 0 {
		return nil
	}
	err := x.source.PublishDurable(spool.Durable{No: s.No, Epoch: s.Epoch})
	if cdp.Is(err, cdp.Transient) {
		return nil // the link is down; announceAgain repeats it
	}
	return err
}

// refusal is why the stream does not continue the journal.
type refusal struct {
	frame cdp.FrameNo // 0: the next one is not in the stream any more
	by    cdp.Epoch   // its epoch
	cause error
}

func (r *refusal) Error() string { return r.cause.Error() }
func (r *refusal) Unwrap() error { return r.cause }

// announceRefusal tells capture to start again after what is stored, if that is
// why the pipeline ended. The intake keeps trying, so this is repeated.
func (x *intake) announceRefusal(err error) {
	var r *refusal
	if !errors.As(err, &r) {
		return
	}
	s := x.vault.Stored()
	d := spool.Durable{No: s.No, Epoch: s.Epoch, Refused: r.frame, By: r.by}
	if d.Refused == 0 {
		d.Refused = s.No + 1
	}
	_ = x.source.PublishDurable(d) // may be lost: it is repeated
}

// announceAgain repeats which frames are durable, for an announcement may be lost: at
// every beat after one was stored, and then less and less often. It ends when space
// runs out.
func (x *intake) announceAgain(ctx context.Context) error {
	repeat := clock.Backoff{Clock: x.deps.Clock, Min: x.cfg.Beat, Max: 60 * x.cfg.Beat}
	for {
		if err := x.announce(); err != nil && ctx.Err() == nil {
			return err
		}
		stored, err := x.pause(ctx, repeat.Next())
		if err != nil {
			return nil
		}
		if stored {
			repeat.Reset()
		}
		if err := x.room(); err != nil {
			x.full(ctx, err) // the rest of the pipeline may wait for room
			return err
		}
	}
}

// pause waits, a beat at most from when a frame is stored.
func (x *intake) pause(ctx context.Context, d time.Duration) (stored bool, err error) {
	over := x.deps.Clock.NewTimer(d)
	defer over.Stop()
	for {
		select {
		case <-ctx.Done():
			return stored, ctx.Err()
		case <-over.C():
			return stored, nil
		case <-x.news:
			if !stored && d > x.cfg.Beat {
				over.Reset(x.cfg.Beat)
			}
			stored = true
		}
	}
}
