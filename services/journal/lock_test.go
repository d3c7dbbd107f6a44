package journal

import (
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/engine/spool/spooltest"
)

// agingClock is the machine's clock, some time later.
type agingClock struct {
	clock.Clock
	later atomic.Int64
}

func (c *agingClock) Elapsed() time.Duration {
	return c.Clock.Elapsed() + time.Duration(c.later.Load())
}

// lockedSite has a journal with a lock of an hour and twenty points, the first of
// which is pinned.
func lockedSite(t *testing.T, stream uint64) (*site, *agingClock, *traffic, spec.ReplicationJob) {
	c := &agingClock{Clock: clock.System}
	s := &site{t: t, dir: t.TempDir(), mem: spooltest.NewMem(1 << 30), clock: c, jobless: true}
	s.start(cdp.Rollback)
	j := spec.ReplicationJob{Name: "g", Source: spec.Source{Site: "prod"}, Journal: spec.Journal{Mode: cdp.Rollback, History: spec.Duration(time.Hour), Lock: spec.Duration(time.Hour)}}
	for i, d := range testDisks {
		j.Source.Disks = append(j.Source.Disks, spec.SourceDisk{Name: d.Name, Path: "/" + d.Name})
		j.Target.Disks = append(j.Target.Disks, spec.TargetDisk{Name: d.Name, Path: s.images()[i]})
	}
	s.changed(&j)
	w := newTraffic(s, stream)
	w.mustSend(20)
	yes := true
	must[cdp.Point](s, api.JournalEditPoint, api.EditPointRequest{Group: "g", Point: "p1", Pinned: &yes})
	return s, c, w, j
}

// changed is what the bucket of jobs says.
func (s *site) changed(j *spec.ReplicationJob) {
	s.t.Helper()
	if err := s.svc.JobChanged("g", j); err != nil {
		s.t.Fatal(err)
	}
}

// kept waits for a journal that has been looked after for a while, and checks that it
// has its points, from the first on, and that each of some reads back.
func (s *site) kept(w *traffic, points int) {
	s.t.Helper()
	s.clock.(*agingClock).later.Add(int64(time.Second)) // horizon is looked at again
	from := s.looks.Load()
	s.until("housekeeping", func() bool { return s.looks.Load() > from+2 })
	ps := must[api.PointsReply](s, api.JournalPoints, api.PointsRequest{Group: "g"}).Points
	if len(ps) != points || ps[0].Frame != 1 || !ps[0].Pinned {
		s.t.Fatalf("%d points, the first %+v", len(ps), ps[0])
	}
	for _, p := range []cdp.Point{ps[0], ps[len(ps)/2], ps[len(ps)-1]} {
		e := must[api.Export](s, api.JournalOpen, api.OpenRequest{Group: "g", ID: "x", Seq: p.Seq, Purpose: api.ForExport})
		s.checkExport(w.m, p.Seq, e)
		must[api.Empty](s, api.JournalClose, api.CloseRequest{Group: "g", ID: "x", Force: true})
	}
}

func (s *site) refused(what, endpoint string, request any) {
	s.t.Helper()
	if _, err := call[any](s, endpoint, request); !cdp.Is(err, cdp.Conflict) {
		s.t.Errorf("%s: %v", what, err)
	}
}

// Nothing that comes through the product shortens locked history: no request, no
// change of the job's description, whoever wrote it, and not its deletion.
func TestNobodyShortensLockedHistory(t *testing.T) {
	t.Parallel()
	s, _, w, j := lockedSite(t, 501)
	defer func() { s.shut() }()

	no := false
	s.refused("unpin", api.JournalEditPoint, api.EditPointRequest{Group: "g", Point: "p1", Pinned: &no})
	s.refused("delete", api.JournalEditPoint, api.EditPointRequest{Group: "g", Point: "p7", Delete: true, Force: true})
	run := api.RunRequest{Group: "g", Run: "r1"}
	must[cdp.Bounds](s, api.JournalHalt, run)
	s.refused("commit", api.JournalSeal, run)
	must[cdp.Bounds](s, api.JournalResume, run)

	weak := j
	weak.Journal = spec.Journal{Mode: cdp.RollForward, History: 1, Size: 1, MergeEvery: 1}
	s.changed(&weak)
	s.alarmed("lock: ")
	s.kept(w, 20)

	// Others' disks in the description, found after a restart.
	weak.Target.Disks = []spec.TargetDisk{{Name: "root", Path: filepath.Join(s.dir, "evil1")}, {Name: "data", Path: filepath.Join(s.dir, "evil2")}}
	s.shut()
	s.start(cdp.Rollback)
	s.changed(&weak)
	s.until("the journal", func() bool { return s.head() > 0 })
	s.kept(w, 20)
	if _, err := os.Stat(weak.Target.Disks[0].Path); err == nil {
		t.Error("the disks of the false description were made")
	}

	s.changed(nil)
	s.alarmed("the job was deleted")
	s.kept(w, 20)
	s.shut()
	s.start(cdp.Rollback) // nobody says that there is a job
	s.until("the journal of the deleted job", func() bool { return s.status().State == event.JournalKept })
	s.kept(w, 20)
	lock := s.status().Lock
	if lock == nil || lock.For != time.Hour || lock.Left <= 0 || lock.Deleted == nil || lock.Deleted.Target.Disks[0].Path != s.images()[0] {
		t.Errorf("%+v", lock)
	}
	s.changed(&j)
	w.mustSend(5)
	s.kept(w, 25)
}

// What is not locked any more can go: points one by one, and the journal of a deleted
// job, for which time counts although it gets no new points, over restarts too.
func TestALockEnds(t *testing.T) {
	t.Parallel()
	s, c, _, _ := lockedSite(t, 502)
	defer func() { s.shut() }()
	c.later.Add(int64(50 * time.Minute))
	yes, no := true, false
	must[cdp.Point](s, api.JournalEditPoint, api.EditPointRequest{Group: "g", Point: "p3", Pinned: &yes})
	c.later.Add(int64(11 * time.Minute))
	s.refused("unpin what was pinned eleven minutes ago", api.JournalEditPoint, api.EditPointRequest{Group: "g", Point: "p3", Pinned: &no})
	must[cdp.Point](s, api.JournalEditPoint, api.EditPointRequest{Group: "g", Point: "p1", Pinned: &no})
	must[cdp.Point](s, api.JournalEditPoint, api.EditPointRequest{Group: "g", Point: "p1", Delete: true})

	s.changed(nil)
	record := filepath.Join(s.dir, "locks", "g.lock")
	for range 2 { // neither half would do alone
		s.until("the journal of the deleted job", func() bool { return s.status().State == event.JournalKept })
		c.later.Add(int64(25 * time.Minute))
		s.shut()
		s.start(cdp.Rollback)
	}
	s.until("the end of the journal", func() bool { _, known, err := s.db.Known("g"); return err == nil && !known })
	s.until("the end of the record", func() bool { _, err := os.Stat(record); return os.IsNotExist(err) })
	for _, image := range s.images() {
		if _, err := os.Stat(image); err != nil {
			t.Error(err)
		}
	}
}
