package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/subjects"

	"github.com/spf13/cobra"

	"tidemark.dev/pkg/adapter/qmp"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/spec"
)

func (a *app) cmdTap() *cobra.Command {
	var t tap
	c := &cobra.Command{
		Use:   "attach JOB --disk NAME --qmp SOCKET --device NODE",
		Short: "Let a running QEMU tell a tap job every write of a disk",
		Long: long(`Start blockdev-mirror (write-blocking) in a running QEMU into the capture endpoint
of a tap job, wait until the copy is complete and say so to capture. It stays,
and brings the copy back when an error stopped it; with --once it returns. The
mirror goes on in QEMU when this command ends.

It runs where QEMU and capture are.

With --live nothing is copied: the job's VM is seeded from snapshots, and the
mirror only tells every write from now on. This is what an I/O filter does for a
disk; it talks to the source site alone (--site), and stays until it is ended.`),
		Example: "  tidemark tap attach web --disk system --qmp /run/vm/qmp.sock --device drive0",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if t.disk == "" || t.qmp == "" || t.device == "" {
				return usage("--disk, --qmp and --device are needed")
			}
			return a.with(c.Context(), func(ctx context.Context, cl *session) error {
				if t.live {
					return cdp.Wrap(a.attachLive(ctx, cl, cdp.GroupID(args[0]), t), "attach live tap of", args[0]+"/"+t.disk)
				}
				return cdp.Wrap(a.attach(ctx, cl, args[0], t), "attach tap of", args[0]+"/"+t.disk)
			})
		},
	}
	c.Flags().StringVar(&t.disk, "disk", "", "the disk, by its name in the job")
	c.Flags().StringVar(&t.qmp, "qmp", "", "QEMU's QMP socket")
	c.Flags().StringVar(&t.device, "device", "", "QEMU's node of the disk, the guest's top node")
	c.Flags().BoolVar(&t.live, "live", false, "copy nothing, only tell every write from now on (jobs on VMs)")
	c.Flags().StringVar(&t.endpoint, "endpoint", "", "with --live: the NBD URI of the disk's endpoint (default: asked of capture)")
	c.Flags().BoolVar(&t.once, "once", false, "return when the copy is complete")
	return group("tap", "Feed tap jobs from running VMs", "  tidemark tap attach web --disk system --qmp /run/vm/qmp.sock --device drive0", c)
}

type tap struct {
	disk, qmp, device string
	once              bool
	live              bool
	endpoint          string
}

// node names what attach makes in QEMU. Names of jobs and disks may be longer
// than QEMU's: then a hash tells them apart.
func (t tap) node(job string) string {
	const most = 31 // QEMU's limit
	name := "tidemark-" + job + "-" + t.disk
	if len(name) <= most {
		return name
	}
	sum := sha256.Sum256([]byte(job + "/" + t.disk))
	return "tidemark-" + hex.EncodeToString(sum[:11])
}

func (a *app) attach(ctx context.Context, c *session, name string, t tap) error {
	job, err := c.job(ctx, name)
	if err != nil {
		return err
	}
	if job.Source.Capture != cdp.Tap {
		return cdp.Errorf(cdp.Conflict, "check", name, "its capture is %s, not tap", job.Source.Capture)
	}
	if !slices.ContainsFunc(job.Source.Disks, func(d spec.SourceDisk) bool { return d.Name == t.disk }) {
		return cdp.Errorf(cdp.NotFound, "find disk", t.disk, "the job has no such disk")
	}
	address, err := c.endpoint(ctx, job, t.disk)
	if err != nil {
		return err
	}
	q, err := qmp.Dial(ctx, t.qmp)
	if err != nil {
		e := &cdp.Error{Op: "talk to QEMU", Kind: cdp.Transient, Subject: t.qmp, Cause: err}
		return e.WithHint("is the VM running, with -qmp unix:" + t.qmp + ",server=on,wait=off?")
	}
	defer q.Close()
	for most := fastest; ; most = max(most/2, slowest) {
		m, fresh, err := t.mirror(ctx, c, q, job, address)
		if err != nil {
			return cdp.Wrap(err, "start mirror", t.device)
		}
		if fresh {
			fmt.Fprintf(a.out, "copying %s to %s\n", t.device, address)
		} else {
			fmt.Fprintln(a.out, "the mirror runs already")
		}
		if err := a.keep(ctx, c, job, t, m, fresh, most); !errors.Is(err, errMissed) {
			return err
		}
		fmt.Fprintln(a.err, "capture missed writes, so its copy is not one; copying again")
		var ended *qmp.JobEnded
		if err := m.Abort(ctx); err != nil && !errors.As(err, &ended) {
			return &cdp.Error{Op: "end mirror", Kind: cdp.Internal, Subject: t.device, Cause: err}
		}
	}
}

// errMissed: the copy has holes.
var errMissed = errors.New("writes were missed")

// keep waits until the copy is complete, says so, and brings it back whenever an
// error stops it.
func (a *app) keep(ctx context.Context, c *session, job spec.ReplicationJob, t tap, m *qmp.Mirror, fresh bool, most int64) error {
	var err error
	told := false // that the copy is complete
	if fresh {
		pctx, cancel := context.WithCancel(ctx)
		go c.pace(pctx, job, m, most)
		err = m.WaitReady(ctx)
		cancel()
	} else {
		err = m.WaitSynced(ctx)
	}
	for {
		var stopped *qmp.JobStopped
		for errors.As(err, &stopped) {
			fmt.Fprintf(a.err, "the mirror stopped (%s); bringing it back\n", stopped.IOStatus)
			err = m.Recover(ctx)
		}
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if errors.Is(err, errMissed) {
				return err
			}
			return &cdp.Error{Op: "mirror", Kind: cdp.Internal, Subject: t.device, Cause: err}
		}
		if err := c.conn.Request(ctx, job.Source.Site, subjects.Capture, api.CaptureSynced, api.DiskRequest{Group: job.Group(), Disk: t.disk}, nil); cdp.Is(err, cdp.Conflict) {
			return errMissed
		} else if err != nil {
			return err
		}
		if !told {
			fmt.Fprintf(a.out, "%s: the copy of %s is complete\n", clockText(time.Now()), t.disk)
			told = true
		}
		if t.once {
			return nil
		}
		if err = t.watch(ctx, c, job, m); ctx.Err() != nil {
			fmt.Fprintln(a.out, "the mirror goes on in QEMU")
			return nil
		}
		if err == nil { // another disk is being copied, or this one has to be told again
			err = m.WaitSynced(ctx)
		} else {
			told = false
		}
	}
}

// How fast a copy may be, in bytes per second. Capture never makes a guest wait,
// so a copy that is faster than the stream would run over its window.
const (
	slowest int64 = 4 << 20
	first   int64 = 16 << 20
	fastest int64 = 96 << 20
)

// pace keeps the copy as fast as the frames go out.
func (c *session) pace(ctx context.Context, job spec.ReplicationJob, m *qmp.Mirror, most int64) {
	const crowd = 4 // frames that wait for the stream
	for speed := min(first, most); ; {
		if m.SetSpeed(ctx, speed) != nil {
			return // it has ended
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(100 * time.Millisecond):
		}
		if g, err := client.CaptureStatus(ctx, c.conn, job.Source.Site, job.Group()); err != nil || g.InFlight > crowd {
			speed = slowest
		} else {
			speed = min(speed+speed/2, most)
		}
	}
}

// endpoint is where capture wants the disk's writes.
func (c *session) endpoint(ctx context.Context, job spec.ReplicationJob, disk string) (string, error) {
	g, err := client.CaptureStatus(ctx, c.conn, job.Source.Site, job.Group())
	if err != nil {
		if cdp.Is(err, cdp.NotFound) {
			return "", cdp.Wrap(cdp.Errorf(cdp.NotFound, "find endpoint", disk, "the job is not captured at %s", job.Source.Site).
				WithHint("start it with: tidemark job run "+job.Name), "ask capture", job.Name)
		}
		return "", err
	}
	return endpointOf(g, disk)
}

// endpointOf is the address at which capture serves a disk.
func endpointOf(g api.CaptureGroup, disk string) (string, error) {
	for _, uri := range g.Exports {
		if address, export, err := nbdAddress(uri); err == nil && (export == disk || export == "") {
			return address, nil
		}
	}
	return "", cdp.Errorf(cdp.NotFound, "find endpoint", disk, "capture serves %s", strings.Join(g.Exports, " "))
}

// nbdAddress takes an NBD URI apart: a socket's path or host:port, and the export.
func nbdAddress(uri string) (address, export string, err error) {
	u, err := url.Parse(uri)
	if err != nil {
		return "", "", err
	}
	export = strings.TrimPrefix(u.Path, "/")
	if u.Scheme == "nbd+unix" {
		return u.Query().Get("socket"), export, nil
	}
	return u.Host, export, nil
}

// mirror starts the copy, or takes over the one that runs.
func (t tap) mirror(ctx context.Context, c *session, q *qmp.Client, job spec.ReplicationJob, address string) (m *qmp.Mirror, fresh bool, err error) {
	node := t.node(job.Name)
	m = qmp.AdoptMirror(q, node)
	var ended *qmp.JobEnded
	if _, err := m.Status(ctx); err == nil {
		return m, false, nil
	} else if !errors.As(err, &ended) {
		return nil, false, &cdp.Error{Op: "ask QEMU", Kind: cdp.Conflict, Subject: node, Cause: err}
	}
	_ = q.RemoveNode(ctx, node) // one may be left of an earlier mirror; if it is in use AddNBD fails
	if err := c.startCopy(ctx, job, t.disk); err != nil {
		return nil, false, err
	}
	if err := q.AddNBD(ctx, qmp.NBD{Node: node, Address: address, Export: t.disk}); err != nil {
		return nil, false, &cdp.Error{Op: "open export in QEMU", Kind: cdp.Conflict, Subject: address, Cause: err}
	}
	m, err = qmp.StartMirror(ctx, q, qmp.MirrorConfig{Job: node, Device: t.device, Target: node, Speed: slowest})
	if err != nil {
		return nil, false, &cdp.Error{Op: "start copy in QEMU", Kind: cdp.Conflict, Subject: node, Cause: err}
	}
	return m, true, nil
}

// startCopy waits until capture can take a copy, and says that it comes. Before
// the journal knows the job every write would be one that was missed.
func (c *session) startCopy(ctx context.Context, job spec.ReplicationJob, disk string) error {
	for {
		g, err := client.CaptureStatus(ctx, c.conn, job.Source.Site, job.Group())
		if err != nil {
			return err
		}
		if g.State != event.Detached && g.State != event.Overflow {
			return c.conn.Request(ctx, job.Source.Site, subjects.Capture, api.CaptureCopyStarted, api.DiskRequest{Group: job.Group(), Disk: disk}, nil)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pollEvery):
		}
	}
}

// watch waits for trouble: *qmp.JobStopped when the mirror stopped, errMissed
// when capture missed writes, and nil when capture does not know that the copy is
// complete. It forgets that when it was restarted or lost its client; QEMU may
// have come back without its mirror noticing, and has sent again what was in
// flight.
func (t tap) watch(ctx context.Context, c *session, job spec.ReplicationJob, m *qmp.Mirror) error {
	return watchMirror(ctx, m, func() (bool, error) {
		g, err := client.CaptureStatus(ctx, c.conn, job.Source.Site, job.Group())
		switch {
		case err == nil && g.State == event.Seeding:
			return true, nil
		case err == nil && g.State == event.NeedsResync:
			return true, errMissed
		}
		return false, nil
	})
}

// watchMirror waits for trouble of the mirror, and asks every second whether
// capture has any: then the watch is over, with that error.
func watchMirror(ctx context.Context, m *qmp.Mirror, over func() (bool, error)) error {
	for {
		nctx, cancel := context.WithTimeout(ctx, time.Second)
		e, err := m.Next(nctx)
		late := nctx.Err() != nil && ctx.Err() == nil
		cancel()
		switch {
		case err != nil && late:
			if yes, err := over(); yes {
				return err
			}
		case err != nil:
			return err
		case e.Name == qmp.EventError:
			if st, err := m.Status(ctx); err != nil {
				return err
			} else if st.Stopped() {
				return &qmp.JobStopped{Job: m.Job(), Operation: e.Operation, IOStatus: st.IOStatus}
			}
		case e.Name == qmp.EventCompleted, e.Name == qmp.EventCancelled:
			return &qmp.JobEnded{Job: m.Job(), Event: e.Name, Reason: e.Error}
		}
	}
}
