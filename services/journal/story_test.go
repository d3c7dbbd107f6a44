package journal

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tidemark.dev/pkg/adapter/blockfile"
	"tidemark.dev/pkg/adapter/nbd"
	"tidemark.dev/pkg/adapter/pebblestore"
	"tidemark.dev/pkg/adapter/replica"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/engine/overlay"
	"tidemark.dev/pkg/engine/spool"
	"tidemark.dev/pkg/engine/spool/spooltest"
	"tidemark.dev/pkg/engine/vault"
	"tidemark.dev/pkg/engine/vault/vaulttest"
	"tidemark.dev/pkg/seedtest"
)

var testDisks = []cdp.Disk{{ID: 0, Name: "root", Size: 3 * cdp.RegionSize}, {ID: 1, Name: "data", Size: cdp.RegionSize + 512}}

// site is a target site with a real store and real image files; the bus is in
// memory.
type site struct {
	t   *testing.T
	dir string
	mem *spooltest.Mem
	db  *pebblestore.DB

	adopt  bool
	silent bool // the source reports no disks
	mu     sync.Mutex
	alarms []string
	points []cdp.Point

	svc  *Service
	stop context.CancelFunc
	done chan error
}

func (s *site) Open(g cdp.GroupID, d []cdp.Disk) (vault.Store, error) { return s.db.Group(g, d) }
func (s *site) Known(g cdp.GroupID) ([]cdp.Disk, bool) {
	for _, gi := range s.db.Groups() {
		if gi.ID == g {
			return gi.Disks, true
		}
	}
	return nil, false
}
func (s *site) Drop(g cdp.GroupID) error { return s.db.Drop(g) }
func (s *site) Free() (int64, error)     { return 1 << 40, nil }
func (s *site) Source(cdp.Site, cdp.GroupID) (spool.Source, error) {
	return s.mem.Source(s.t), nil
}
func (s *site) Disks(context.Context, cdp.Site, cdp.GroupID) ([]cdp.Disk, error) {
	if s.silent {
		return nil, cdp.Errorf(cdp.NotFound, "ask capture", "g", "it does not know the job")
	}
	return testDisks, nil
}
func (s *site) Clock(context.Context, cdp.Site) (int64, int64, error) {
	n := time.Now().Add(-time.Hour).UnixNano() // the source's clock is an hour late
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
func (s *site) Stored(context.Context, cdp.GroupID, spool.Message)                      {}
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
	if s.db, err = pebblestore.Open(filepath.Join(s.dir, "db"), pebblestore.Options{BulkBytes: 64 << 10}); err != nil {
		s.t.Fatal(err)
	}
	s.svc = New(Config{Dir: filepath.Join(s.dir, "x"), Beat: 20 * time.Millisecond, PurgeBytes: 100 << 10},
		Deps{Stores: s, Streams: s, Replicas: files{}, Servers: servers{}, OpenScratch: openScratch, Capture: s, Facts: s, Clock: clock.System})
	ctx, stop := context.WithCancel(context.Background())
	s.stop, s.done = stop, make(chan error, 1)
	go func() { s.done <- s.svc.Run(ctx) }()
	s.svc.Apply(GroupSpec{Group: "g", Source: "prod", Mode: mode, History: time.Hour, Adopt: s.adopt,
		Names: []string{"root", "data"}, Paths: s.images()})
}

func (s *site) images() []string {
	return []string{filepath.Join(s.dir, "root.img"), filepath.Join(s.dir, "data.img")}
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

// until waits for what must come.
func (s *site) until(what string, ok func() bool) {
	s.t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("waited in vain for %s; alarms %v", what, s.alarms)
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
	if err := m.Check(at, func(disk cdp.DiskID, p []byte, off int64) error {
		clear(p)
		_, err := clients[disk].ReadAt(p[:min(int64(len(p)), testDisks[disk].Size-off)], off)
		return err
	}); err != nil {
		s.t.Fatal(err)
	}
}

// A target site's whole story, in both modes: frames come, points are offered
// and read back, the service is restarted, a test failover leaves no trace, a
// failover in production is undone, another is committed, and the images on
// disk are exactly the point, with what was written since.
func TestAPointIsServedTestedUndoneAndMadePermanent(t *testing.T) {
	seed := seedtest.Seed(t)
	for _, mode := range []cdp.JournalMode{cdp.Rollback, cdp.RollForward} {
		t.Run(string(mode), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 7))
			s := &site{t: t, dir: t.TempDir(), mem: spooltest.NewMem(1 << 30)}
			s.start(mode)
			sink := s.mem.Sink(t)
			m := vaulttest.NewModel(testDisks)
			send := func(n int) {
				for range n {
					flags := frame.Consistent
					if len(m.Frames) == 0 {
						flags |= frame.ExtentStart
					}
					if rng.IntN(3) == 0 {
						flags |= frame.Marker
					}
					ws := []vaulttest.ModelWrite{m.RandomWrite(rng), m.RandomWrite(rng), m.RandomWrite(rng)}
					f, err := frame.Parse(m.Frame(flags, 1, time.Now().Add(-time.Hour).UnixNano(), ws...))
					if err != nil {
						t.Fatal(err)
					}
					if err := sink.Publish(f); err != nil {
						t.Fatal(err)
					}
					if r := <-sink.Results(); r.Err != nil {
						t.Fatal(r.Err)
					}
				}
				s.until("all writes", func() bool { return s.head() == cdp.Seq(len(m.Writes)) })
			}
			send(30)
			s.shut()
			s.start(mode)
			s.until("a measured clock", func() bool {
				r, err := call[api.StatusReply](s, api.JournalStatus, api.GroupRequest{Group: "g"})
				return err == nil && r.Groups[0].ClockBound > 0
			})
			began, before := time.Now(), cdp.Seq(len(m.Writes))
			send(30)
			var newest cdp.Point
			s.until("word of a point", func() bool {
				s.mu.Lock()
				defer s.mu.Unlock()
				if len(s.points) > 0 {
					newest = s.points[len(s.points)-1]
				}
				return newest.Seq > before
			})
			if p := newest; p.Time.Add(p.Bound).Before(began) || p.Time.Add(-p.Bound).After(time.Now()) || p.Bound == 0 {
				t.Fatalf("the source's clock is an hour late; the point's time %v ± %v does not show it", p.Time, p.Bound)
			}
			points := must[api.PointsReply](s, api.JournalPoints, api.GroupRequest{Group: "g"})
			p := points.Points[len(points.Points)/2]

			// A test failover, with writes and replication going on.
			e := must[api.Export](s, api.JournalOpen, api.OpenRequest{Group: "g", ID: "t1", Seq: p.Seq, Scratch: true, Purpose: "test"})
			s.checkExport(m, p.Seq, e)
			scribble(t, e)
			send(10)
			must[api.Empty](s, api.JournalClose, api.CloseRequest{Group: "g", ID: "t1"})

			// Production, undone.
			must[cdp.Bounds](s, api.JournalHalt, api.RunRequest{Group: "g", Run: "r1"})
			e = must[api.Export](s, api.JournalOpen, api.OpenRequest{Group: "g", ID: "r1", Seq: p.Seq, Scratch: true, Purpose: "production"})
			s.checkExport(m, p.Seq, e)
			s.until("base", func() bool {
				return must[api.MoveReply](s, api.JournalMoveBase, api.MoveRequest{Group: "g", Run: "r1", Seq: p.Seq}).Done
			})
			scribble(t, e)
			must[api.Empty](s, api.JournalClose, api.CloseRequest{Group: "g", ID: "r1"})
			must[cdp.Bounds](s, api.JournalResume, api.RunRequest{Group: "g", Run: "r1"})
			send(10)
			latest := must[api.Resolved](s, api.JournalResolve, api.ResolveRequest{Group: "g", Point: fmt.Sprintf("seq:%d", len(m.Writes))})
			e = must[api.Export](s, api.JournalOpen, api.OpenRequest{Group: "g", ID: "look", Seq: latest.Seq, Purpose: "export"})
			s.checkExport(m, latest.Seq, e)
			must[api.Empty](s, api.JournalClose, api.CloseRequest{Group: "g", ID: "look"})

			// Production, with a restart in the middle, committed.
			must[cdp.Bounds](s, api.JournalHalt, api.RunRequest{Group: "g", Run: "r2"})
			open := api.OpenRequest{Group: "g", ID: "r2", Seq: p.Seq, Scratch: true, Purpose: "production"}
			e = must[api.Export](s, api.JournalOpen, open)
			scribble(t, e)
			s.shut()
			s.start(mode)
			s.until("the journal", func() bool { return s.head() > 0 })
			e = must[api.Export](s, api.JournalOpen, open)
			checkScribble(t, e)
			s.until("base", func() bool {
				return must[api.MoveReply](s, api.JournalMoveBase, api.MoveRequest{Group: "g", Run: "r2", Seq: p.Seq}).Done
			})
			must[api.MoveReply](s, api.JournalAbsorb, api.CloseRequest{Group: "g", ID: "r2"})
			must[api.Empty](s, api.JournalClose, api.CloseRequest{Group: "g", ID: "r2"})
			paths := must[api.SealReply](s, api.JournalSeal, api.RunRequest{Group: "g", Run: "r2"}).Paths
			s.shut()
			images, err := replica.Open(testDisks, paths, false)
			if err != nil {
				t.Fatal(err)
			}
			defer images.Close()
			if err := m.Check(p.Seq, func(disk cdp.DiskID, b []byte, off int64) error {
				return images.ReadAt(disk, b, off)
			}); err != nil {
				t.Fatal(err)
			}
			b := make([]byte, 512)
			if err := images.ReadAt(0, b, scribbleAt); err != nil || string(b) != scribbled {
				t.Fatalf("what was written after the failover is not in the image: %q %v", b[:8], err)
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			if len(s.alarms) > 0 {
				t.Fatalf("alarms: %v", s.alarms)
			}
		})
	}
}

// scribbleAt is a place that the model neither writes nor compares.
const scribbleAt = 100 * cdp.BlockSize

var scribbled = strings.Repeat("the VM wrote on ", 32)

func dialRoot(t *testing.T, e api.Export) *nbd.Client {
	_, sock, _ := strings.Cut(e.Disks[0].URI, "socket=")
	c, err := nbd.Dial(context.Background(), "unix", sock, "root")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func scribble(t *testing.T, e api.Export) {
	t.Helper()
	c := dialRoot(t, e)
	defer c.Close()
	if _, err := c.WriteAt([]byte(scribbled), scribbleAt); err != nil {
		t.Fatal(err)
	}
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
}

func checkScribble(t *testing.T, e api.Export) {
	t.Helper()
	c := dialRoot(t, e)
	defer c.Close()
	b := make([]byte, 512)
	if _, err := c.ReadAt(b, scribbleAt); err != nil || string(b) != scribbled {
		t.Fatalf("the scratch did not survive: %q %v", b[:8], err)
	}
}
