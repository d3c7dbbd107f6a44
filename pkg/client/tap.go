package client

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/contract/subjects"
)

// Mirror sends every write to a disk of a running VM to an NBD export, before the
// write completes. Package node has it for QEMU.
type Mirror interface {
	// Running reports whether it runs already.
	Running(ctx context.Context) (bool, error)
	// Start starts it.
	Start(ctx context.Context, t MirrorTarget) error
	// SetSpeed bounds the first copy, in bytes per second. It may be called from
	// another goroutine. An error means that the mirror has ended.
	SetSpeed(ctx context.Context, speed int64) error
	// Wait waits until the export has everything. *MirrorStopped means that an I/O
	// error stopped the mirror; the next Wait resumes it first.
	Wait(ctx context.Context) error
	// Trouble waits until the mirror stops (*MirrorStopped) or ends (any other
	// error), or ctx ends, which is its error.
	Trouble(ctx context.Context) error
	// End ends it, and leaves nothing behind in the VM. It is no error if there is
	// none.
	End(ctx context.Context) error
}

// MirrorTarget is where a mirror sends writes.
type MirrorTarget struct {
	// Address of the NBD server: the path of a unix socket, or host:port.
	Address, Export string
	// Copy: the disk is copied, too, at most Speed bytes per second at first.
	Copy  bool
	Speed int64
}

// MirrorStopped is the error of a mirror that an I/O error stopped.
type MirrorStopped struct{ Status string }

func (e *MirrorStopped) Error() string { return "the mirror was stopped by an I/O error: " + e.Status }

// DialMirror gives the mirror of a group's disk, and what closes the connection to
// its VM. The mirror itself goes on.
type DialMirror func(ctx context.Context, group cdp.GroupID) (m Mirror, done func(), err error)

// TapRequest says which disk of which job to feed.
type TapRequest struct {
	Job, Disk string
	// Once: return when the copy is complete.
	Once bool
}

// TapNote is something that happened to a tap.
type TapNote string

const (
	TapCopying  TapNote = "copying"  // Text: to which address
	TapAdopted  TapNote = "adopted"  // the mirror ran already
	TapComplete TapNote = "complete" // capture has a complete copy
	TapStopped  TapNote = "stopped"  // Text: why; it is being resumed
	TapLost     TapNote = "lost"     // Text: why QEMU or capture cannot be reached; it is attached again
	TapMissed   TapNote = "missed"   // capture missed writes; the disk is copied again
	TapReports  TapNote = "reports"  // capture gets every write from now on
	TapLeft     TapNote = "left"     // the mirror goes on without this call
)

// errMissed: the copy lacks writes.
var errMissed = errors.New("writes were missed")

// AttachTap mirrors a disk of a tap job into capture: it copies the disk, reports
// the copy complete, and resumes the mirror whenever an error stops it, until ctx
// ends. The mirror goes on after that. Once it was attached it is attached again when
// QEMU or capture was gone, for as long as the job exists, unless r.Once.
func (c *Client) AttachTap(ctx context.Context, r TapRequest, dial DialMirror, note func(n TapNote, text string)) error {
	t := tap{c: c, disk: r.Disk, once: r.Once, note: note}
	pause := clock.Backoff{Clock: c.clock, Min: 250 * time.Millisecond, Max: 30 * time.Second}
	for said := ""; ; {
		t.started = false
		err := t.find(ctx, r.Job)
		if cdp.Is(err, cdp.NotFound) || cdp.Is(err, cdp.Conflict) {
			return err
		}
		if err == nil {
			err = t.attach(ctx, dial)
		}
		switch {
		case t.started:
			t.attached = true
			pause.Reset()
		case err != nil && !t.attached:
			return err
		}
		if err == nil || r.Once || ctx.Err() != nil {
			return err
		}
		if text := err.Error(); t.started || text != said {
			note(TapLost, text)
			said = text
		}
		if pause.Wait(ctx) != nil {
			note(TapLeft, "")
			return nil
		}
	}
}

// find reads the job, which may have changed. It is NotFound or a Conflict if the job has
// no such tap.
func (t *tap) find(ctx context.Context, name string) error {
	job, err := t.c.Job(ctx, name)
	if err != nil {
		return err
	}
	if job.Source.Capture != cdp.Tap {
		return cdp.Errorf(cdp.Conflict, "check", job.Name, "its capture is %s, not tap", job.Source.Capture)
	}
	if !slices.ContainsFunc(job.Source.Disks, func(d spec.SourceDisk) bool { return d.Name == t.disk }) {
		return cdp.Errorf(cdp.NotFound, "find disk", t.disk, "the job has no such disk")
	}
	t.job = job
	return nil
}

// attach starts or adopts the mirror, and keeps it until ctx ends or QEMU or capture fails.
func (t *tap) attach(ctx context.Context, dial DialMirror) (err error) {
	if t.address, err = t.c.endpointOf(ctx, t.job.Source.Site, t.job.Target.Site, t.job.Group(), t.disk); err != nil {
		return err
	}
	m, done, err := dial(ctx, t.job.Group())
	if err != nil {
		return err
	}
	defer done()
	t.mirror = m
	for t.speed = fastest; ; t.speed = max(t.speed/2, slowest) {
		fresh, err := t.start(ctx)
		if err != nil {
			return cdp.Wrap(err, "start mirror", t.disk)
		}
		t.started = true
		if err := t.keep(ctx, fresh); !errors.Is(err, errMissed) {
			return err
		}
		t.note(TapMissed, "")
		if err := m.End(ctx); err != nil {
			return &cdp.Error{Op: "end mirror", Kind: cdp.Internal, Subject: t.disk, Cause: err}
		}
	}
}

// How fast a copy may be, in bytes per second. Capture never makes a guest wait, so
// a copy that is faster than the stream would overrun its window.
const (
	slowest int64 = 4 << 20
	first   int64 = 16 << 20
	fastest int64 = 96 << 20
)

// tap is one disk that is mirrored into capture.
type tap struct {
	c       *Client
	job     spec.ReplicationJob
	disk    string
	address string // of capture's NBD server
	mirror  Mirror
	once    bool
	// attached: a mirror was started or adopted; started: since QEMU was last dialed.
	attached, started bool

	speed int64 // that the copy may have
	note  func(TapNote, string)
}

// start starts the copy, or adopts the mirror that runs.
func (t *tap) start(ctx context.Context) (fresh bool, err error) {
	if runs, err := t.mirror.Running(ctx); err != nil || runs {
		if runs {
			t.note(TapAdopted, "")
		}
		return false, err
	}
	if err := t.untilTaken(ctx); err != nil {
		return false, err
	}
	if err := t.mirror.Start(ctx, MirrorTarget{Address: t.address, Export: t.disk, Copy: true, Speed: slowest}); err != nil {
		return false, err
	}
	t.note(TapCopying, t.address)
	return true, nil
}

// untilTaken waits until capture can take a copy, and announces it. Before the
// journal knows the job, every write would be a missed one.
func (t *tap) untilTaken(ctx context.Context) error {
	for {
		g, err := t.status(ctx)
		if err != nil {
			return err
		}
		if g.State != event.Detached && g.State != event.Overflow {
			return t.tell(ctx, api.CaptureCopyStarted)
		}
		if err := clock.Sleep(ctx, t.c.clock, pollEvery); err != nil {
			return err
		}
	}
}

// keep waits until the copy is complete, reports that, and resumes the mirror
// whenever an error stops it.
func (t *tap) keep(ctx context.Context, fresh bool) error {
	pctx, cancel := context.WithCancel(ctx)
	var pacing sync.WaitGroup
	if fresh {
		pacing.Go(func() { t.pace(pctx) })
	}
	err := t.mirror.Wait(ctx)
	cancel()
	pacing.Wait()
	reported := false
	for {
		if err = t.resumed(ctx, err); err != nil {
			switch {
			case ctx.Err() != nil:
				return ctx.Err()
			case errors.Is(err, errMissed):
				return err
			}
			return &cdp.Error{Op: "mirror", Kind: cdp.Internal, Subject: t.disk, Cause: err}
		}
		if err := t.tell(ctx, api.CaptureSynced); cdp.Is(err, cdp.Conflict) {
			return errMissed
		} else if err != nil {
			return err
		}
		if !reported {
			t.note(TapComplete, "")
			reported = true
		}
		if t.once {
			return nil
		}
		if err = t.watch(ctx, t.incomplete); ctx.Err() != nil {
			t.note(TapLeft, "")
			return nil
		}
		if err == nil { // another disk is being copied, or capture has to be told again
			err = t.mirror.Wait(ctx)
		} else {
			reported = false
		}
	}
}

// resumed resumes a mirror that an error stopped, until it has everything again.
func (t *tap) resumed(ctx context.Context, err error) error {
	var stopped *MirrorStopped
	for errors.As(err, &stopped) {
		t.note(TapStopped, stopped.Status)
		err = t.mirror.Wait(ctx)
	}
	return err
}

// watch waits for trouble of the mirror, and asks every second whether capture has
// any: then the watch is over, with that error.
func (t *tap) watch(ctx context.Context, over func(context.Context) (bool, error)) error {
	for {
		nctx, cancel := context.WithTimeout(ctx, time.Second)
		err := t.mirror.Trouble(nctx)
		late := nctx.Err() != nil && ctx.Err() == nil
		cancel()
		if !late {
			return err
		}
		if yes, err := over(ctx); yes {
			return err
		}
	}
}

// incomplete says whether capture does not know that the copy is complete, or has
// missed writes. It forgets that it is complete when it was restarted or lost its
// client; QEMU may have come back without its mirror noticing, and has sent again
// what was in flight.
func (t *tap) incomplete(ctx context.Context) (bool, error) {
	g, err := t.status(ctx)
	switch {
	case err == nil && g.State == event.Seeding:
		return true, nil
	case err == nil && g.State == event.NeedsResync:
		return true, errMissed
	}
	return false, nil
}

// pace keeps the copy as fast as frames leave, until ctx ends.
func (t *tap) pace(ctx context.Context) {
	const crowd = 4 // frames that wait for the stream
	for speed := min(first, t.speed); ; {
		if t.mirror.SetSpeed(ctx, speed) != nil {
			return // it has ended
		}
		if clock.Sleep(ctx, t.c.clock, 100*time.Millisecond) != nil {
			return
		}
		if g, err := t.status(ctx); err != nil || g.InFlight > crowd {
			speed = slowest
		} else {
			speed = min(speed+speed/2, t.speed)
		}
	}
}

func (t *tap) status(ctx context.Context) (api.CaptureGroup, error) {
	return CaptureStatus(ctx, t.c.conn, t.job.Source.Site, t.job.Target.Site, t.job.Group())
}

// tell tells capture something about the disk.
func (t *tap) tell(ctx context.Context, endpoint string) error {
	return t.c.conn.Request(ctx, t.job.Source.Site, subjects.Capture, endpoint, api.DiskRequest{Group: t.job.Group(), Disk: t.disk}, nil)
}

// endpointOf is the address at which the capture service of a site serves a disk of a
// group that is replicated to target; empty: to whichever site.
func (c *Client) endpointOf(ctx context.Context, site, target cdp.Site, group cdp.GroupID, disk string) (string, error) {
	g, err := CaptureStatus(ctx, c.conn, site, target, group)
	if cdp.Is(err, cdp.NotFound) {
		return "", cdp.Errorf(cdp.NotFound, "find endpoint", disk, "the job is not captured at %s", site).
			WithHint("start it with: tidemark job run " + string(group))
	}
	if err != nil {
		return "", err
	}
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
