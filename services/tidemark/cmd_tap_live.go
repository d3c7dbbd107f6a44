package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/subjects"

	"tidemark.dev/pkg/adapter/qmp"
	"tidemark.dev/pkg/cdp"
)

// attachLive does for a disk what an I/O filter does: it tells capture every
// write, and says so, and says it again whenever capture was away or missed
// some. It ends with ctx, and the mirror with it.
func (a *app) attachLive(ctx context.Context, c *session, g cdp.GroupID, t tap) error {
	address := t.endpoint
	if address != "" {
		var err error
		if address, _, err = nbdAddress(t.endpoint); err != nil {
			return cdp.Errorf(cdp.Invalid, "read endpoint", t.endpoint, "no NBD URI")
		}
	} else {
		st, err := client.CaptureStatus(ctx, c.conn, c.site, g)
		if err == nil {
			address, err = endpointOf(st, t.disk)
		}
		if err != nil {
			return err
		}
	}
	q, err := qmp.Dial(ctx, t.qmp)
	if err != nil {
		return &cdp.Error{Op: "talk to QEMU", Kind: cdp.Transient, Subject: t.qmp, Cause: err}
	}
	defer q.Close()
	node := t.node(string(g))
	m := qmp.AdoptMirror(q, node)
	var ended *qmp.JobEnded
	if _, err := m.Status(ctx); errors.As(err, &ended) {
		if m, err = t.startLive(ctx, q, node, address); err != nil {
			return err
		}
	} else if err != nil {
		return &cdp.Error{Op: "ask QEMU", Kind: cdp.Conflict, Subject: node, Cause: err}
	}
	defer func() {
		// The guest must not hang on a mirror that nobody looks after.
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		// Capture notices when the connection ends, which is a little later than
		// the last write that is told. It may be away: then it knows already.
		say, stop := context.WithTimeout(end, time.Second)
		_ = c.conn.Request(say, c.site, subjects.Capture, api.CaptureUnlive, api.DiskRequest{Group: g, Disk: t.disk}, nil)
		stop()
		_ = m.Abort(end)
		_ = q.RemoveNode(end, node)
	}()
	for {
		if err := m.WaitSynced(ctx); err != nil {
			if err = a.recoverLive(ctx, m, err); err != nil {
				return err
			}
		}
		err := c.conn.Request(ctx, c.site, subjects.Capture, api.CaptureLive, api.DiskRequest{Group: g, Disk: t.disk}, nil)
		if err == nil {
			fmt.Fprintf(a.out, "%s: every write to %s is told\n", clockText(time.Now()), t.disk)
			err = watchLive(ctx, c, g, m)
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case cdp.Is(err, cdp.Conflict):
			// Nothing was written since capture was away, so QEMU has not noticed.
			_ = m.Abort(ctx)
			anew, err := t.startLive(ctx, q, node, address)
			if err != nil {
				return err
			}
			m = anew
		case cdp.Is(err, cdp.Transient):
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
		case err != nil:
			if err = a.recoverLive(ctx, m, err); err != nil {
				return err
			}
		}
	}
}

func (t tap) startLive(ctx context.Context, q *qmp.Client, node, address string) (*qmp.Mirror, error) {
	_ = q.RemoveNode(ctx, node) // one may be left of an earlier mirror; if it is in use AddNBD fails
	if err := q.AddNBD(ctx, qmp.NBD{Node: node, Address: address, Export: t.disk}); err != nil {
		return nil, &cdp.Error{Op: "open export in QEMU", Kind: cdp.Conflict, Subject: address, Cause: err}
	}
	m, err := qmp.StartMirror(ctx, q, qmp.MirrorConfig{Job: node, Device: t.device, Target: node, New: true})
	if err != nil {
		return nil, &cdp.Error{Op: "start mirror in QEMU", Kind: cdp.Conflict, Subject: node, Cause: err}
	}
	return m, nil
}

// recoverLive brings a mirror back that an error stopped.
func (a *app) recoverLive(ctx context.Context, m *qmp.Mirror, err error) error {
	var stopped *qmp.JobStopped
	for errors.As(err, &stopped) {
		fmt.Fprintf(a.err, "the mirror stopped (%s); bringing it back\n", stopped.IOStatus)
		err = m.Recover(ctx)
	}
	return err
}

// watchLive waits for trouble: an error of the mirror, or nil when capture has to
// be told again.
func watchLive(ctx context.Context, c *session, g cdp.GroupID, m *qmp.Mirror) error {
	return watchMirror(ctx, m, func() (bool, error) {
		st, err := client.CaptureStatus(ctx, c.conn, c.site, g)
		return err == nil && st.State == event.NeedsResync, nil
	})
}
