package node

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/contract/subjects"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/adapter/pebblestore"
	"tidemark.dev/pkg/adapter/replica"
	"tidemark.dev/pkg/adapter/telemetry"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/engine/spool"
	"tidemark.dev/pkg/engine/vault"
	"tidemark.dev/services/journal"
)

// journalWiring joins the journal service to the bus, to Pebble and to the
// replica's files: it implements the service's ports.
type journalWiring struct {
	e    *env
	conn *bus.Conn
	dir  string
	db   *pebblestore.DB

	mu sync.Mutex
	// traced holds, by group, the trace of the newest frame that carried one.
	traced map[cdp.GroupID]tracedFrame
}

type tracedFrame struct {
	no  cdp.FrameNo
	ctx context.Context
}

// envTransporter names the appliance that the process runs on; the appliance's
// start sets it from its guestinfo.
const envTransporter = "TIDEMARK_TRANSPORTER"

// runJournal gives the journal service the bus and its directory.
func runJournal(ctx context.Context, e *env) (err error) {
	conn, err := e.connect(ctx, subjects.Journal)
	if err != nil {
		return err
	}
	defer conn.Close()
	dir := e.path("journal")
	w := &journalWiring{e: e, conn: conn, dir: dir, traced: map[cdp.GroupID]tracedFrame{}}
	warn := func(err error) { e.warn(err) }
	if w.db, err = pebblestore.Open(filepath.Join(dir, "store"), pebblestore.Options{Trouble: warn}); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.db.Close()) }()
	exportTLS, err := e.nbdTLS()
	if err != nil {
		return err
	}
	s := journal.New(journal.Config{Dir: filepath.Join(dir, "exports"), Transporter: os.Getenv(envTransporter)},
		journal.Deps{Stores: w, Streams: w, Replicas: replicas{}, Servers: nbdServers{exportTLS}, OpenScratch: openScratch, Capture: w, Facts: w, Clock: w})
	specs, err := openJobs(ctx, e, conn)
	if err != nil {
		return err
	}
	eg, ctx := errgroup.WithContext(ctx)
	eg.Go(func() error { return s.Run(ctx) })
	eg.Go(func() error { return ended(ctx, conn.Serve(ctx, subjects.Journal, s.Endpoints())) })
	eg.Go(func() error { return ended(ctx, conn.HandleCommands(ctx, subjects.Journal, w.commands(s))) })
	eg.Go(func() error { return ended(ctx, w.follow(ctx, s, specs)) })
	return eg.Wait()
}

// ended forgets an error that only says that ctx ended.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// follow keeps the service's groups as the jobs say.
func (w *journalWiring) follow(ctx context.Context, s *journal.Service, specs jobs) error {
	return specs.Watch(ctx, func(name string, j *spec.ReplicationJob) error {
		if j != nil {
			s.Apply(groupSpec(*j))
		} else if err := s.Remove(cdp.GroupID(name)); err != nil {
			w.e.warn(err)
		}
		return nil
	})
}

// groupSpec is a job as the journal sees it. The disks are in the order of the
// source's.
func groupSpec(j spec.ReplicationJob) journal.GroupSpec {
	g := journal.GroupSpec{Group: cdp.GroupID(j.Name), Source: j.Source.Site, Mode: cdp.JournalMode(j.Journal.Mode),
		History: time.Duration(j.Journal.History), Limit: int64(j.Journal.Size),
		Adopt: j.Target.Adopt}
	for _, d := range j.Source.Disks {
		i := slices.IndexFunc(j.Target.Disks, func(t spec.TargetDisk) bool { return t.Name == d.Name })
		if i < 0 {
			continue // the spec's own check has refused that
		}
		g.Names = append(g.Names, d.Name)
		g.Paths = append(g.Paths, j.Target.Disks[i].Path)
	}
	return g
}

// commands are the journal's, as requests to itself.
func (w *journalWiring) commands(s *journal.Service) map[string]bus.Handler {
	edit := s.Endpoints()[api.JournalEditPoint]
	do := func(ctx context.Context, r api.EditPointRequest) error {
		raw, err := json.Marshal(r)
		if err == nil {
			_, err = edit(ctx, raw)
		}
		return err
	}
	return map[string]bus.Handler{
		"point-tag": command(func(ctx context.Context, p event.PointTag) error {
			return do(ctx, api.EditPointRequest{Group: cdp.GroupID(p.Job), Point: p.Point, Tags: &p.Tags})
		}),
		"point-pin": command(func(ctx context.Context, p event.PointPin) error {
			return do(ctx, api.EditPointRequest{Group: cdp.GroupID(p.Job), Point: p.Point, Pinned: &p.Pinned})
		}),
		"point-delete": command(func(ctx context.Context, p event.PointDelete) error {
			return do(ctx, api.EditPointRequest{Group: cdp.GroupID(p.Job), Point: p.Point, Delete: true})
		}),
	}
}

// command decodes a command's payload, which its schema has accepted.
func command[P any](fn func(context.Context, P) error) bus.Handler {
	return func(ctx context.Context, e event.Event) error {
		var p P
		if err := json.Unmarshal(e.Data, &p); err != nil {
			return &cdp.Error{Op: "read command", Kind: cdp.Invalid, Subject: e.Type, Cause: err}
		}
		return fn(ctx, p)
	}
}

// Stores

func (w *journalWiring) Open(g cdp.GroupID, disks []cdp.Disk) (vault.Store, error) {
	return w.db.Group(g, disks)
}

func (w *journalWiring) Known(g cdp.GroupID) ([]cdp.Disk, bool) {
	for _, gi := range w.db.Groups() {
		if gi.ID == g {
			return gi.Disks, true
		}
	}
	return nil, false
}

func (w *journalWiring) Drop(g cdp.GroupID) error { return w.db.Drop(g) }

func (w *journalWiring) Free() (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(w.dir, &st); err != nil {
		return 0, &cdp.Error{Op: "measure free space", Kind: cdp.Transient, Subject: w.dir, Cause: err}
	}
	return int64(st.Bavail) * st.Bsize, nil
}

// Streams

func (w *journalWiring) Source(site cdp.Site, g cdp.GroupID) (spool.Source, error) {
	return bus.OpenSource(w.conn, site, g)
}

// Replicas

type replicas struct{}

func (replicas) Open(disks []cdp.Disk, paths []string, fresh bool) (journal.Replica, error) {
	return replica.Open(disks, paths, fresh)
}

// Capture

func (w *journalWiring) Disks(ctx context.Context, site cdp.Site, g cdp.GroupID) ([]cdp.Disk, error) {
	c, err := client.CaptureStatus(ctx, w.conn, site, g)
	return c.Disks, err
}

func (w *journalWiring) Clock(ctx context.Context, site cdp.Site) (received, sent int64, err error) {
	var r api.ClockReply
	err = w.conn.Request(ctx, site, subjects.Capture, api.CaptureClock, api.ClockRequest{Sent: time.Now().UnixNano()}, &r)
	return r.Received, r.Sent, err
}

// Facts

func (w *journalWiring) emit(ctx context.Context, p event.Payload) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if err := w.conn.Emit(ctx, p); err != nil {
		w.e.warn(err)
	}
}

func (w *journalWiring) PointCreated(ctx context.Context, g cdp.GroupID, p cdp.Point) {
	w.mu.Lock()
	if t := w.traced[g]; t.no == p.Frame {
		ctx = t.ctx
	}
	w.mu.Unlock()
	w.emit(ctx, event.PointCreated{Group: g, Point: p})
}

func (w *journalWiring) PointChanged(ctx context.Context, g cdp.GroupID, p cdp.Point, what event.PointChange) {
	w.emit(ctx, event.PointChanged{Group: g, Point: p, Change: what})
}

func (w *journalWiring) HorizonMoved(ctx context.Context, g cdp.GroupID, b cdp.Bounds, reason string) {
	w.emit(ctx, event.HorizonMoved{Group: g, Reason: reason, Bounds: b})
}

func (w *journalWiring) StateChanged(ctx context.Context, g cdp.GroupID, state event.JournalState, reason string) {
	w.emit(ctx, event.JournalStateChanged{Group: g, State: state, Reason: reason})
}

func (w *journalWiring) Alarm(ctx context.Context, g cdp.GroupID, kind, text string) {
	w.emit(ctx, event.JournalAlarm{Group: g, Kind: kind, Text: text})
}

// Stored notes the trace of a frame that carries one: the point that the frame
// makes belongs to it.
func (w *journalWiring) Stored(ctx context.Context, g cdp.GroupID, m spool.Message) {
	if m.Header["Traceparent"] == nil && m.Header["traceparent"] == nil {
		return
	}
	ctx, span := w.e.tel.Process(ctx, telemetry.Message{Template: "tidemark.write.v1.{site}.{group}"}, m.Header)
	span.Set("tidemark.group", string(g))
	span.End(nil)
	w.mu.Lock()
	w.traced[g] = tracedFrame{m.No, context.WithoutCancel(ctx)}
	w.mu.Unlock()
}

func (w *journalWiring) Now() time.Time { return time.Now() }
