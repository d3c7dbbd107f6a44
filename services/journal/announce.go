package journal

import (
	"context"
	"errors"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/engine/spool"
	"tidemark.dev/pkg/engine/wake"
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

// announceAgain repeats which frames are durable, for an announcement may be lost. It
// ends when space runs out.
func (x *intake) announceAgain(ctx context.Context) error {
	return repeat(ctx, x.deps.Clock, x.cfg.Beat, x.news, func() error {
		if err := x.announce(); err != nil && ctx.Err() == nil {
			return err
		}
		err := x.room()
		if err != nil {
			x.full(ctx, err) // the rest of the pipeline may wait for room
		}
		return err
	})
}

// repeat calls fn now, a beat after each piece of news, and then after ever longer
// pauses: each call is a message over the link, and most of a thousand groups are idle.
// It returns when fn fails, and nil when ctx ends.
func repeat(ctx context.Context, clk clock.Clock, beat time.Duration, news wake.Bell, fn func() error) error {
	pauses := clock.Backoff{Clock: clk, Min: beat, Max: 60 * beat, Factor: 8}
	for {
		if err := fn(); err != nil {
			return err
		}
		heard, err := pause(ctx, clk, pauses.Next(), beat, news)
		if err != nil {
			return nil
		}
		if heard {
			pauses.Reset()
			pauses.Next() // that beat is over
		}
	}
}

// pause waits for d, or a beat from the first news.
func pause(ctx context.Context, clk clock.Clock, d, beat time.Duration, news wake.Bell) (heard bool, err error) {
	over := clk.NewTimer(d)
	defer over.Stop()
	for {
		select {
		case <-ctx.Done():
			return heard, ctx.Err()
		case <-over.C():
			return heard, nil
		case <-news:
			if !heard && d > beat {
				over.Reset(beat)
			}
			heard = true
		}
	}
}
