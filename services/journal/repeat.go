package journal

import (
	"context"
	"errors"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/engine/spool"
)

// tell says to capture what is durable.
func (g *group) tell() error {
	s := g.vault.Stored()
	if s.No == 0 {
		return nil
	}
	err := g.source.PublishDurable(spool.Durable{No: s.No, Epoch: s.Epoch})
	if cdp.Is(err, cdp.Transient) {
		return nil // the link is away; repeat says it again
	}
	return err
}

// refusal is why the stream does not go on where the journal does.
type refusal struct {
	frame cdp.FrameNo // 0: the stream does not have the next one any more
	by    cdp.Epoch   // its epoch
	cause error
}

func (r *refusal) Error() string { return r.cause.Error() }
func (r *refusal) Unwrap() error { return r.cause }

// refuse says to capture that it has to start again behind what is stored, if
// that is what ended the intake. The intake goes on trying, and so it is said
// again.
func (g *group) refuse(err error) {
	var r *refusal
	if !errors.As(err, &r) {
		return
	}
	s := g.vault.Stored()
	d := spool.Durable{No: s.No, Epoch: s.Epoch, Refused: r.frame, By: r.by}
	if d.Refused == 0 {
		d.Refused = s.No + 1
	}
	_ = g.source.PublishDurable(d) // it may be lost, as every word
}

// repeat tells it again, for it may have been lost; it purges the stream when
// the intake begins and when little comes; and it looks after the space.
func (g *group) repeat(ctx context.Context) error {
	purged := cdp.FrameNo(0)
	for n := 0; ; n++ {
		if err := g.tell(); err != nil && ctx.Err() == nil {
			return err
		}
		if s := g.vault.Stored(); n%10 == 0 && s.No > purged && g.source.PurgeBehind(ctx, s.No) == nil {
			purged = s.No
		}
		if !pause(ctx, g.cfg.Beat) {
			return nil
		}
		if err := g.room(); err != nil {
			return err
		}
	}
}

// room is nil as long as what stays in reserve is there.
func (g *group) room() error {
	free, err := g.deps.Stores.Free()
	if err != nil || free >= g.cfg.Reserve {
		return err
	}
	return cdp.Errorf(cdp.Full, "store frames", string(g.id), "%d MiB are left for journals; %d MiB stay in reserve", free>>20, g.cfg.Reserve>>20).
		WithHint("free space on the transporter's disk, or give the job a smaller history or size limit")
}
