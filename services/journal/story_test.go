package journal

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/adapter/nbd"
	"tidemark.dev/pkg/adapter/replica"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/engine/spool"
	"tidemark.dev/pkg/engine/spool/spooltest"
	"tidemark.dev/pkg/engine/vault/vaulttest"
	"tidemark.dev/pkg/seedtest"
)

// A target site's whole story, in both modes: frames come, points are offered
// and read back, the service is restarted, a test failover leaves no trace, a
// failover in production is undone, another is committed, and the images on
// disk are exactly the point, with what was written since.
func TestAPointIsServedTestedUndoneAndMadePermanent(t *testing.T) {
	seed := seedtest.Seed(t)
	for _, mode := range []cdp.JournalMode{cdp.Rollback, cdp.RollForward} {
		t.Run(string(mode), func(t *testing.T) {
			s := &site{t: t, dir: t.TempDir(), mem: spooltest.NewMem(1 << 30)}
			s.start(mode)
			w := &story{site: s, mode: mode, sink: s.mem.Sink(t), m: vaulttest.NewModel(testDisks), rng: rand.New(rand.NewPCG(seed, 7))}
			w.send(30)
			s.shut()
			s.start(mode)
			s.until("a measured clock", func() bool {
				r, err := call[api.StatusReply](s, api.JournalStatus, api.GroupRequest{Group: "g"})
				return err == nil && r.Groups[0].ClockBound > 0
			})
			w.pointsAreInTargetTime()
			points := must[api.PointsReply](s, api.JournalPoints, api.GroupRequest{Group: "g"})
			p := points.Points[len(points.Points)/2]
			w.testFailover(p)
			w.failoverUndone(p)
			paths := w.failoverCommitted(p)
			w.imagesAre(p, paths)
			s.mu.Lock()
			defer s.mu.Unlock()
			if len(s.alarms) > 0 {
				t.Fatalf("alarms: %v", s.alarms)
			}
		})
	}
}

// story is a site with a source that writes at random.
type story struct {
	*site
	mode cdp.JournalMode
	sink spool.Sink
	m    *vaulttest.Model
	rng  *rand.Rand
}

// send sends n frames, whose source's clock is an hour late.
func (w *story) send(n int) {
	w.t.Helper()
	for range n {
		flags := frame.Consistent
		if len(w.m.Frames) == 0 {
			flags |= frame.ExtentStart
		}
		if w.rng.IntN(3) == 0 {
			flags |= frame.Marker
		}
		ws := []vaulttest.ModelWrite{w.m.RandomWrite(w.rng), w.m.RandomWrite(w.rng), w.m.RandomWrite(w.rng)}
		f, err := frame.Parse(w.m.Frame(flags, 1, time.Now().Add(-time.Hour).UnixNano(), ws...))
		if err != nil {
			w.t.Fatal(err)
		}
		if err := w.sink.Publish(f); err != nil {
			w.t.Fatal(err)
		}
		if r := <-w.sink.Results(); r.Err != nil {
			w.t.Fatal(r.Err)
		}
	}
	w.until("all writes", func() bool { return w.head() == cdp.Seq(len(w.m.Writes)) })
}

// pointsAreInTargetTime sends more, and looks at the time of the newest point.
func (w *story) pointsAreInTargetTime() {
	w.t.Helper()
	began, before := time.Now(), cdp.Seq(len(w.m.Writes))
	w.send(30)
	var newest cdp.Point
	w.until("the event of a point", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		if len(w.points) > 0 {
			newest = w.points[len(w.points)-1]
		}
		return newest.Seq > before
	})
	if p := newest; p.Time.Add(p.Bound).Before(began) || p.Time.Add(-p.Bound).After(time.Now()) || p.Bound == 0 {
		w.t.Fatalf("the source's clock is an hour late; the point's time %v ± %v does not show it", p.Time, p.Bound)
	}
}

// testFailover opens the point, with writes and replication going on.
func (w *story) testFailover(p cdp.Point) {
	w.t.Helper()
	s := w.site
	e := must[api.Export](s, api.JournalOpen, api.OpenRequest{Group: "g", ID: "t1", Seq: p.Seq, Scratch: true, Purpose: "test"})
	s.checkExport(w.m, p.Seq, e)
	scribble(w.t, e)
	w.send(10)
	must[api.Empty](s, api.JournalClose, api.CloseRequest{Group: "g", ID: "t1"})
}

// failoverUndone makes a failover in production and takes it back.
func (w *story) failoverUndone(p cdp.Point) {
	w.t.Helper()
	s := w.site
	must[cdp.Bounds](s, api.JournalHalt, api.RunRequest{Group: "g", Run: "r1"})
	e := must[api.Export](s, api.JournalOpen, api.OpenRequest{Group: "g", ID: "r1", Seq: p.Seq, Scratch: true, Purpose: "production"})
	s.checkExport(w.m, p.Seq, e)
	s.untilBase("r1", p.Seq)
	scribble(w.t, e)
	must[api.Empty](s, api.JournalClose, api.CloseRequest{Group: "g", ID: "r1"})
	must[cdp.Bounds](s, api.JournalResume, api.RunRequest{Group: "g", Run: "r1"})
	w.send(10)
	latest := must[api.Resolved](s, api.JournalResolve, api.ResolveRequest{Group: "g", Point: fmt.Sprintf("seq:%d", len(w.m.Writes))})
	e = must[api.Export](s, api.JournalOpen, api.OpenRequest{Group: "g", ID: "look", Seq: latest.Seq, Purpose: "export"})
	s.checkExport(w.m, latest.Seq, e)
	must[api.Empty](s, api.JournalClose, api.CloseRequest{Group: "g", ID: "look"})
}

// failoverCommitted makes a failover in production, with a restart in the middle,
// commits it and stops the service.
func (w *story) failoverCommitted(p cdp.Point) (paths []string) {
	w.t.Helper()
	s := w.site
	must[cdp.Bounds](s, api.JournalHalt, api.RunRequest{Group: "g", Run: "r2"})
	open := api.OpenRequest{Group: "g", ID: "r2", Seq: p.Seq, Scratch: true, Purpose: "production"}
	scribble(w.t, must[api.Export](s, api.JournalOpen, open))
	s.restart(w.mode)
	checkScribble(w.t, must[api.Export](s, api.JournalOpen, open))
	s.untilBase("r2", p.Seq)
	must[api.MoveReply](s, api.JournalAbsorb, api.CloseRequest{Group: "g", ID: "r2"})
	s.restart(w.mode) // it may have ended before all was absorbed
	must[api.MoveReply](s, api.JournalAbsorb, api.CloseRequest{Group: "g", ID: "r2"})
	must[api.Empty](s, api.JournalClose, api.CloseRequest{Group: "g", ID: "r2"})
	paths = must[api.SealReply](s, api.JournalSeal, api.RunRequest{Group: "g", Run: "r2"}).Paths
	for range 2 {
		if open := s.held(); len(open) > 0 {
			w.t.Fatalf("committed, and the journal still has %v", open)
		}
		s.restart(w.mode)
	}
	s.shut()
	return paths
}

// imagesAre compares the images with the point and what was written over it.
func (w *story) imagesAre(p cdp.Point, paths []string) {
	w.t.Helper()
	images, err := replica.Open(testDisks, paths, false)
	if err != nil {
		w.t.Fatal(err)
	}
	defer images.Close()
	if err := w.m.Check(p.Seq, func(disk cdp.DiskID, b []byte, off int64) error {
		return images.ReadAt(disk, b, off)
	}); err != nil {
		w.t.Fatal(err)
	}
	b := make([]byte, 512)
	if err := images.ReadAt(0, b, scribbleAt); err != nil || string(b) != scribbled {
		w.t.Fatalf("what was written after the failover is not in the image: %q %v", b[:8], err)
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
