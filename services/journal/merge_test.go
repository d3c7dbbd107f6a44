package journal

import (
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/engine/spool/spooltest"
)

// A roll-forward job's changes are merged into the replica at the pace of mergeEvery,
// which can be changed while the job runs: base reaches the newest point, no point is
// lost, and every one reads back exactly.
func TestChangesAreMergedAtThePaceOfMergeEvery(t *testing.T) {
	s := &site{t: t, dir: t.TempDir(), mem: spooltest.NewMem(1 << 30)}
	s.start(cdp.RollForward)
	defer s.shut()
	w := newTraffic(s, 41)
	w.mustSend(20)
	bounds := func() cdp.Bounds {
		return must[api.StatusReply](s, api.JournalStatus, api.GroupRequest{Group: "g"}).Groups[0].Bounds
	}
	s.until("a horizon", func() bool { return bounds().Horizon > 0 })
	if b := bounds(); b.Base != b.Horizon {
		t.Fatalf("base moved without a pace: %v", b)
	}
	was := bounds().Horizon
	points := must[api.PointsReply](s, api.JournalPoints, api.PointsRequest{Group: "g"}).Points

	x := GroupSpec{Group: "g", Source: "prod", Mode: cdp.RollForward, History: time.Hour, MergeEvery: time.Millisecond}
	s.svc.Apply(x)
	s.until("a merge", func() bool { return bounds().Base == points[len(points)-1].Seq })
	w.mustSend(20)
	newest := cdp.Seq(len(w.m.Writes)) // each frame is a point
	s.until("another merge", func() bool { return bounds().Base == newest })
	if b := bounds(); b.Horizon != was {
		t.Errorf("horizon was %d: %v", was, b)
	}
	points = must[api.PointsReply](s, api.JournalPoints, api.PointsRequest{Group: "g"}).Points
	if len(points) != 40 {
		t.Errorf("%d points are left", len(points))
	}
	for _, i := range []int{0, 10, 19, 20, len(points) - 1} {
		e := must[api.Export](s, api.JournalOpen, api.OpenRequest{Group: "g", ID: "x", Seq: points[i].Seq, Purpose: api.ForExport})
		s.checkExport(w.m, points[i].Seq, e)
		must[api.Empty](s, api.JournalClose, api.CloseRequest{Group: "g", ID: "x"})
	}
	same(t, w.at(newest), s.images())
}

// Base waits until a point it has not reached is as old as the pace.
func TestAMergeIsDueWhenBaseIsOldEnough(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	at := func(ago time.Duration, s cdp.Seq) cdp.Point { return cdp.Point{Seq: s, Time: now.Add(-ago)} }
	ps := []cdp.Point{at(3*time.Hour, 10), at(90*time.Minute, 20), at(time.Minute, 30)}
	for _, c := range []struct {
		mode  cdp.JournalMode
		every time.Duration
		base  cdp.Seq
		want  cdp.Seq
	}{
		{cdp.RollForward, time.Hour, 10, 30}, {cdp.RollForward, time.Hour, 15, 30}, {cdp.RollForward, time.Hour, 20, 0},
		{cdp.RollForward, 2 * time.Hour, 10, 0}, {cdp.RollForward, time.Second, 30, 0}, {cdp.RollForward, 0, 10, 0}, {cdp.Rollback, time.Hour, 10, 0},
	} {
		o := outlook{Now: now, Known: true, Mode: c.mode, MergeEvery: c.every, Points: ps, Bounds: cdp.Bounds{Horizon: 10, Base: c.base, Head: 35}}
		if got := merged(o); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
}
