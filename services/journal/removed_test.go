package journal

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/engine/spool/spooltest"
)

// Points from after a disk was removed at the source are without it, those from before
// have it, and a test of either gets the disks that the point has.
func TestPointsHaveTheDisksThatTheSourceHad(t *testing.T) {
	s := &site{t: t, dir: t.TempDir(), mem: spooltest.NewMem(1 << 30)}
	s.start(cdp.Rollback)
	defer func() { s.shut() }()
	w := newTraffic(s, 37)
	w.mustSend(8)
	before := s.status().Newest
	resolve := func(p *cdp.Point) []cdp.Disk {
		return must[api.Resolved](s, api.JournalResolve, api.ResolveRequest{Group: "g", Point: p.ID()}).Disks
	}
	gone := func(at time.Time) {
		j := s.spec(cdp.Rollback)
		j.Removed = []time.Time{at, {}}
		s.svc.Apply(j)
	}
	gone(before.Time.Add(time.Hour))
	if got := resolve(before); len(got) != 2 {
		t.Errorf("a point from before has the disks %v", got)
	}
	gone(before.Time.Add(-before.Bound - time.Millisecond))
	got := resolve(before)
	if len(got) != 1 || got[0].ID != 1 {
		t.Fatalf("a point from after has the disks %v", got)
	}
	path := filepath.Join(s.dir, "b.vmdk")
	if err := os.WriteFile(path, make([]byte, got[0].Size), 0o600); err != nil {
		t.Fatal(err)
	}
	fill := api.FillRequest{Group: "g", Run: "t1", Seq: before.Seq, Paths: []string{path}}
	refused[api.MoveReply](s, cdp.Invalid, api.JournalFill, fill)
	fill.Disks = []cdp.DiskID{1}
	s.until("the test's disk is filled", func() bool {
		r := must[api.MoveReply](s, api.JournalFill, fill)
		return r.Done && r.Total == got[0].Size
	})
	same(t, w.at(before.Seq)[1:], []string{path})
}

// Each removed disk is in the points from before, as well as the error of their times
// lets one know.
func TestHad(t *testing.T) {
	at := time.Unix(1000, 0)
	disks := []cdp.Disk{{ID: 0, Name: "a"}, {ID: 1, Name: "b"}, {ID: 2, Name: "c"}}
	points := []cdp.Point{{Seq: 10, Time: at.Add(-time.Second)}, {Seq: 20, Time: at.Add(time.Second), Bound: 2 * time.Second}, {Seq: 30, Time: at.Add(10 * time.Second)}}
	for _, c := range []struct {
		s    cdp.Seq
		want int
	}{{5, 3}, {10, 3}, {15, 3}, {20, 3}, {30, 2}, {35, 2}} {
		if got := had(disks, []time.Time{{}, at}, points, c.s); len(got) != c.want {
			t.Errorf("write %d has the disks %v, want %d", c.s, got, c.want)
		}
	}
}
