package node

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"

	"tidemark.dev/pkg/adapter/qmp"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/client"
)

// QEMU gives the mirrors of a disk of a running QEMU: socket is its QMP socket,
// disk the disk's name in the job, and device the guest's top node of it.
// Credentials is qmp.NBD's.
func QEMU(socket, disk, device, credentials string) client.DialMirror {
	return func(ctx context.Context, group cdp.GroupID) (client.Mirror, func(), error) {
		q, err := qmp.Dial(ctx, socket)
		if err != nil {
			e := &cdp.Error{Op: "talk to QEMU", Kind: cdp.Transient, Subject: socket, Cause: err}
			return nil, nil, e.WithHint("is the VM running, with -qmp unix:" + socket + ",server=on,wait=off?")
		}
		node := mirrorNode(string(group), disk)
		return &qemuMirror{q: q, m: qmp.AdoptMirror(q, node), node: node, device: device, credentials: credentials}, func() { _ = q.Close() }, nil
	}
}

// mirrorNode names a mirror in QEMU. Names of jobs and disks may be longer than
// QEMU's: then a hash tells them apart.
func mirrorNode(job, disk string) string {
	const most = 31 // QEMU's limit
	name := "tidemark-" + job + "-" + disk
	if len(name) <= most {
		return name
	}
	sum := sha256.Sum256([]byte(job + "/" + disk))
	return "tidemark-" + hex.EncodeToString(sum[:11])
}

// qemuMirror is client.Mirror over QMP.
type qemuMirror struct {
	q            *qmp.Client
	m            *qmp.Mirror
	node, device string
	credentials  string
	copying      bool // started with a copy, which is not complete yet
	stopped      bool // by an error, and not resumed
}

var _ client.Mirror = (*qemuMirror)(nil)

func (x *qemuMirror) Running(ctx context.Context) (bool, error) {
	var ended *qmp.JobEnded
	_, err := x.m.Status(ctx)
	if errors.As(err, &ended) {
		return false, nil
	}
	if err != nil {
		return false, &cdp.Error{Op: "ask QEMU", Kind: cdp.Conflict, Subject: x.node, Cause: err}
	}
	return true, nil
}

func (x *qemuMirror) Start(ctx context.Context, t client.MirrorTarget) error {
	_ = x.q.RemoveNode(ctx, x.node) // one may be left of an earlier mirror; if it is in use AddNBD fails
	if err := x.q.AddNBD(ctx, qmp.NBD{Node: x.node, Address: t.Address, Export: t.Export, Credentials: x.credentials}); err != nil {
		e := &cdp.Error{Op: "open export in QEMU", Kind: cdp.Conflict, Subject: t.Address, Cause: err}
		if x.credentials == "" && !strings.Contains(t.Address, "/") {
			e.Hint = "a site with certificates asks for one over TCP: give --tls-creds"
		}
		return e
	}
	m, err := qmp.StartMirror(ctx, x.q, qmp.MirrorConfig{Job: x.node, Device: x.device, Target: x.node, Speed: t.Speed, New: !t.Copy})
	if err != nil {
		return &cdp.Error{Op: "start mirror in QEMU", Kind: cdp.Conflict, Subject: x.node, Cause: err}
	}
	x.m, x.copying, x.stopped = m, t.Copy, false
	return nil
}

func (x *qemuMirror) SetSpeed(ctx context.Context, speed int64) error {
	return x.m.SetSpeed(ctx, speed)
}

func (x *qemuMirror) Wait(ctx context.Context) error {
	var err error
	switch {
	case x.stopped:
		err = x.m.Recover(ctx)
	case x.copying:
		err = x.m.WaitReady(ctx)
	default:
		err = x.m.WaitSynced(ctx)
	}
	err = x.seen(err)
	x.copying = x.copying && err != nil
	return err
}

// seen makes the client's error of a mirror that was stopped, and remembers it.
func (x *qemuMirror) seen(err error) error {
	var stopped *qmp.JobStopped
	x.stopped = errors.As(err, &stopped)
	if x.stopped {
		return &client.MirrorStopped{Status: stopped.IOStatus}
	}
	return err
}

func (x *qemuMirror) Trouble(ctx context.Context) error {
	for {
		e, err := x.m.Next(ctx)
		switch {
		case err != nil:
			return err
		case e.Name == qmp.EventError:
			if st, err := x.m.Status(ctx); err != nil {
				return err
			} else if st.Stopped() {
				return x.seen(&qmp.JobStopped{Job: x.node, Operation: e.Operation, IOStatus: st.IOStatus})
			}
		case e.Name == qmp.EventCompleted, e.Name == qmp.EventCancelled:
			return &qmp.JobEnded{Job: x.node, Event: e.Name, Reason: e.Error}
		}
	}
}

func (x *qemuMirror) End(ctx context.Context) error {
	err := x.m.Abort(ctx)
	if runs, rerr := x.Running(ctx); rerr == nil && !runs {
		err = nil
	}
	_ = x.q.RemoveNode(ctx, x.node) // it may be in use for a moment; Start removes it
	x.stopped, x.copying = false, false
	return err
}
