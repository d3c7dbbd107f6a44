package journal

import (
	"cmp"
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tidemark.dev/pkg/adapter/blockfile"
	"tidemark.dev/pkg/adapter/nbd"
	"tidemark.dev/pkg/adapter/pebblestore"
	"tidemark.dev/pkg/adapter/replica"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/api/apitest"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/subjects"
	"tidemark.dev/pkg/engine/overlay"
	"tidemark.dev/pkg/engine/spool"
	"tidemark.dev/pkg/engine/spool/spooltest"
	"tidemark.dev/pkg/engine/vault"
	"tidemark.dev/pkg/engine/vault/vaulttest"
)

var testDisks = []cdp.Disk{{ID: 0, Name: "root", Size: 3 * cdp.RegionSize}, {ID: 1, Name: "data", Size: cdp.RegionSize + 512}}

// site is a target site with a real store and real image files; the bus is in
// memory.
type site struct {
	t   *testing.T
	dir string
	mem *spooltest.Mem
	db  *pebblestore.DB
	// store is the directory of the journals; empty: one in dir.
	store   string
	space   *pebblestore.Space
	disk    Space // instead of space; nil: space
	reserve int64 // Config.Reserve; 0: 1 MiB
	// memTable is pebblestore.Options.MemTableBytes; limit that of the group.
	memTable uint64
	limit    int64
	// others are the streams of more source sites, whose clocks are two hours late.
	others map[cdp.Site]*spooltest.Mem

	adopt   bool
	silent  bool // the source reports no disks
	jobless bool // start applies no job
	scrub   time.Duration
	// replicas is the directory of the images; empty: dir.
	replicas string
	clock    clock.Clock // nil: the machine's
	// late is how far the source's clock is behind, an hour from the start on; lie
	// changes what it answers.
	late atomic.Int64
	lie  func(received, sent int64) (int64, int64)
	// looks counts how often housekeeping began.
	looks  atomic.Int64
	mu     sync.Mutex
	disks  []cdp.Disk // that the source has; nil: testDisks
	alarms []string
	points []cdp.Point

	svc  *Service
	stop context.CancelFunc
	done chan error
}

func (s *site) Open(g cdp.GroupID, d []cdp.Disk) (vault.Store, error) { return s.db.Group(g, d) }
func (s *site) Known(g cdp.GroupID) ([]cdp.Disk, bool, error)         { return s.db.Known(g) }
func (s *site) Damage(g cdp.GroupID) error                            { s.looks.Add(1); return s.db.Damage(g) }
func (s *site) Losses(g cdp.GroupID) ([]cdp.Loss, error)              { return s.db.Losses(g) }
func (s *site) Drop(g cdp.GroupID) error                              { return s.db.Drop(g) }
func (s *site) Full(g cdp.GroupID) error                              { return s.db.Full(g) }
func (s *site) Source(from cdp.Site, _ cdp.GroupID) (spool.Source, error) {
	if mem := s.others[from]; mem != nil {
		return mem.Source(s.t), nil
	}
	return s.mem.Source(s.t), nil
}
func (s *site) Disks(context.Context, cdp.Site, cdp.GroupID) ([]cdp.Disk, error) {
	if s.silent {
		return nil, cdp.Errorf(cdp.NotFound, "ask capture", "g", "it does not know the job")
	}
	return s.sourceDisks(), nil
}
func (s *site) Clock(_ context.Context, from cdp.Site) (int64, int64, error) {
	late := time.Duration(s.late.Load())
	if s.others[from] != nil {
		late = 2 * time.Hour
	}
	n := time.Now().Add(-late).UnixNano()
	if s.lie != nil {
		received, sent := s.lie(n, n)
		return received, sent, nil
	}
	return n, n, nil
}
func (s *site) PointCreated(_ context.Context, _ cdp.GroupID, p cdp.Point) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.points = append(s.points, p)
}
func (s *site) PointChanged(context.Context, cdp.GroupID, cdp.Point, event.PointChange) {}
func (s *site) HorizonMoved(context.Context, cdp.GroupID, cdp.Bounds, string)           {}
func (s *site) StateChanged(context.Context, cdp.GroupID, event.JournalState, string)   {}
func (s *site) Stored(context.Context, cdp.GroupID, spool.Message, time.Duration)       {}
func (s *site) Alarm(_ context.Context, _ cdp.GroupID, kind, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.alarms = append(s.alarms, kind+": "+text)
}

type files struct{}

func (files) Open(d []cdp.Disk, p []string, fresh bool) (Replica, error) {
	return replica.Open(d, p, fresh)
}

type servers struct{}

func (servers) Ready(string) error { return nil }

func (servers) Serve(addr string, disks []ServedDisk) (DiskServer, error) {
	var exports []nbd.Export
	for _, d := range disks {
		exports = append(exports, nbd.Export{Name: d.Name, Backend: d.Device, ReadOnly: d.ReadOnly, MultiConn: true})
	}
	return nbd.Serve(addr, nbd.Config{}, exports...)
}

func openScratch(path string) (overlay.File, error) { return blockfile.Open(path, false) }

func (s *site) start(mode cdp.JournalMode) {
	var err error
	if s.clock == nil {
		s.clock = clock.System
	}
	if s.late.Load() == 0 {
		s.late.Store(int64(time.Hour))
	}
	store := cmp.Or(s.store, filepath.Join(s.dir, "db"))
	if s.db, err = pebblestore.Open(store, pebblestore.Options{BulkBytes: 64 << 10, MemTableBytes: s.memTable}); err != nil {
		s.t.Fatal(err)
	}
	if s.space, err = pebblestore.OpenSpace(store, 4<<20); err != nil {
		s.t.Fatal(err)
	}
	var disk Space = s.space
	if s.disk != nil {
		disk = s.disk
	}
	s.svc = New(Config{Dir: filepath.Join(s.dir, "x"), Beat: 20 * time.Millisecond, ScrubEvery: s.scrub, Reserve: cmp.Or(s.reserve, 1<<20), LeastLimit: 1 << 20},
		Deps{Stores: s, Space: disk, Streams: s, Replicas: files{}, Servers: servers{}, OpenScratch: openScratch, Capture: s, Facts: s, Clock: s.clock})
	ctx, stop := context.WithCancel(context.Background())
	s.stop, s.done = stop, make(chan error, 1)
	go func() { s.done <- s.svc.Run(ctx) }()
	if s.jobless {
		return
	}
	s.svc.Apply(s.spec(mode))
}

// spec is the job, of the disks that the source has.
func (s *site) spec(mode cdp.JournalMode) GroupSpec {
	j := GroupSpec{Group: "g", Source: "prod", Mode: mode, History: time.Hour, Limit: s.limit, Adopt: s.adopt, Paths: s.images()}
	for i, d := range s.sourceDisks() {
		j.Names, j.Sizes = append(j.Names, d.Name), append(j.Sizes, d.Size)
		if i >= len(j.Paths) {
			j.Paths = append(j.Paths, filepath.Join(s.dir, d.Name+".img"))
		}
	}
	return j
}

func (s *site) sourceDisks() []cdp.Disk {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.disks == nil {
		return testDisks
	}
	return s.disks
}

func (s *site) images() []string {
	at := cmp.Or(s.replicas, s.dir)
	return []string{filepath.Join(at, "root.img"), filepath.Join(at, "data.img")}
}

func (s *site) shut() {
	s.stop()
	if err := <-s.done; err != nil {
		s.t.Fatal(err)
	}
	if err := s.db.Close(); err != nil {
		s.t.Fatal(err)
	}
}

// call asks an endpoint as the bus would.
func call[T any](s *site, name string, req any) (T, error) {
	var out T
	raw, _ := json.Marshal(req)
	v, err := s.svc.Endpoints()[name](context.Background(), raw)
	if err != nil {
		return out, err
	}
	if err := apitest.Answered(subjects.Journal, name, raw, v); err != nil {
		s.t.Error(err)
	}
	raw, _ = json.Marshal(v)
	return out, json.Unmarshal(raw, &out)
}

func must[T any](s *site, name string, req any) T {
	s.t.Helper()
	v, err := call[T](s, name, req)
	if err != nil {
		s.t.Fatalf("%s: %v", name, err)
	}
	return v
}

// restart stops the service and starts it again.
func (s *site) restart(mode cdp.JournalMode) {
	s.t.Helper()
	s.shut()
	s.start(mode)
	s.until("the journal", func() bool { return s.head() > 0 })
}

// untilBase moves base for a run.
func (s *site) untilBase(run string, seq cdp.Seq) {
	s.t.Helper()
	s.until("base", func() bool {
		return must[api.MoveReply](s, api.JournalMoveBase, api.MoveRequest{Group: "g", Run: run, Seq: seq}).Done
	})
}

// until waits until ok.
func (s *site) until(what string, ok func() bool) {
	s.t.Helper()
	for end := time.Now().Add(4 * time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("%s: it did not come; alarms %v", what, s.alarms)
		}
	}
}

func (s *site) head() cdp.Seq {
	r, err := call[api.StatusReply](s, api.JournalStatus, api.GroupRequest{Group: "g"})
	if err != nil {
		return 0
	}
	return r.Groups[0].Bounds.Head
}

// checkExport compares an export with the model through a real NBD client.
func (s *site) checkExport(m *vaulttest.Model, at cdp.Seq, e api.Export) {
	s.t.Helper()
	if err := s.readExport(m, at, e); err != nil {
		s.t.Fatal(err)
	}
}

// readExport is why an export could not be read to its end, nil if all of it was. What is
// read must be as the model says.
func (s *site) readExport(m *vaulttest.Model, at cdp.Seq, e api.Export) error {
	s.t.Helper()
	clients := make([]*nbd.Client, len(e.Disks))
	for i, d := range e.Disks {
		_, sock, _ := strings.Cut(d.URI, "socket=")
		c, err := nbd.Dial(context.Background(), "unix", sock, d.Name)
		if err != nil {
			s.t.Fatal(err)
		}
		defer c.Close()
		clients[i] = c
	}
	var unread error
	err := m.Check(at, func(disk cdp.DiskID, p []byte, off int64) error {
		clear(p)
		_, unread = clients[disk].ReadAt(p[:min(int64(len(p)), e.Disks[disk].Size-off)], off)
		return unread
	})
	if err != nil && unread == nil {
		s.t.Fatal(err)
	}
	return unread
}
