package client

import (
	"context"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/spec"
)

// AttachLiveTap does for a disk of a VM what an I/O filter does: it reports every
// write to the capture service of this site, which is the source, and copies
// nothing. It ends with ctx, and the mirror with it. An empty endpoint, the NBD URI
// to write to, is asked of capture.
func (c *Client) AttachLiveTap(ctx context.Context, group cdp.GroupID, disk, endpoint string, dial DialMirror, note func(n TapNote, text string)) error {
	// The target is not known here.
	t := tap{c: c, job: spec.ReplicationJob{Name: string(group), Source: spec.Source{Site: c.site}}, disk: disk, note: note}
	var err error
	if endpoint == "" {
		t.address, err = c.endpointOf(ctx, c.site, "", group, disk)
	} else if t.address, _, err = nbdAddress(endpoint); err != nil {
		err = cdp.Errorf(cdp.Invalid, "read endpoint", endpoint, "not an NBD URI")
	}
	if err != nil {
		return err
	}
	m, done, err := dial(ctx, group)
	if err != nil {
		return err
	}
	defer done()
	t.mirror = m
	target := MirrorTarget{Address: t.address, Export: disk}
	if runs, err := m.Running(ctx); err != nil {
		return err
	} else if !runs {
		if err := m.Start(ctx, target); err != nil {
			return err
		}
	}
	defer t.endLive(context.WithoutCancel(ctx))
	for {
		if err := t.resumed(ctx, m.Wait(ctx)); err != nil {
			return err
		}
		err := t.tell(ctx, api.CaptureLive)
		if err == nil {
			note(TapReports, "")
			err = t.watch(ctx, t.needsTelling)
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case cdp.Is(err, cdp.Conflict):
			// Nothing was written since capture was away, so QEMU has not noticed.
			_ = m.End(ctx)
			err = m.Start(ctx, target)
		case cdp.Is(err, cdp.Transient):
			err = clock.Sleep(ctx, c.clock, time.Second)
		default:
			err = t.resumed(ctx, err)
		}
		if err != nil && ctx.Err() == nil {
			return err
		}
	}
}

// needsTelling says whether capture has to be told again that it gets every write.
func (t *tap) needsTelling(ctx context.Context) (bool, error) {
	g, err := t.status(ctx)
	return err == nil && g.State == event.NeedsResync, nil
}

// endLive ends the mirror: the guest must not hang on one that nobody resumes.
func (t *tap) endLive(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	// Capture notices when the connection ends, which is a little later than the
	// last write that it gets. It may be away: then it knows already.
	say, stop := context.WithTimeout(ctx, time.Second)
	_ = t.tell(say, api.CaptureUnlive)
	stop()
	_ = t.mirror.End(ctx)
}
