package journal

import (
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/engine/spool/spooltest"
)

// What the RPO is measured by is the last point that people see, whatever happened to
// the others, and the state that they see.
func TestTheNewestPointIsTheLastOfTheList(t *testing.T) {
	s := &site{t: t, dir: t.TempDir(), mem: spooltest.NewMem(1 << 30)}
	s.lie = func(received, sent int64) (int64, int64) { return received, sent + int64(25*time.Hour) } // so no time is measured
	s.start(cdp.Rollback)
	defer func() { s.shut() }()
	w := newTraffic(s, 79)
	same := func(when string) {
		t.Helper()
		got := must[api.NewestReply](s, api.JournalNewest, api.Empty{}).Groups
		points := must[api.PointsReply](s, api.JournalPoints, api.PointsRequest{Group: "g"}).Points
		st := s.status()
		if len(got) != 1 || got[0].Point == nil || len(points) == 0 {
			t.Fatalf("%s: %+v, %d points", when, got, len(points))
		}
		if g, last := got[0], points[len(points)-1]; g.Point.Frame != last.Frame || g.Point.Bound > 0 != (last.Bound > 0) ||
			last.Bound > 0 && !g.Point.Time.Equal(last.Time) || g.State != st.State || g.Frame != st.Frame {
			t.Errorf("%s: %+v, the last point is %+v, the state %s", when, g, last, st.State)
		}
	}
	w.mustSend(5)
	same("before the source's clock is measured")
	must[cdp.Point](s, api.JournalEditPoint, api.EditPointRequest{Group: "g", Point: s.status().Newest.ID(), Delete: true})
	same("after the newest was deleted")
	tested := cdp.PointTest{Run: "t1", At: time.Unix(100, 0).UTC(), Verdict: cdp.Passed, Evidence: []string{"ping: passed"}}
	point := s.status().Newest.ID()
	must[cdp.Point](s, api.JournalTested, api.PointTestedRequest{Group: "g", Point: point, Test: tested})
	if _, err := call[any](s, api.JournalTested, api.PointTestedRequest{Group: "g", Point: point, Test: cdp.PointTest{Verdict: "perhaps"}}); !cdp.Is(err, cdp.Invalid) {
		t.Errorf("a verdict of no such kind: %v", err)
	}
	s.shut()
	s.lie = nil
	s.start(cdp.Rollback)
	s.until("the source's clock", func() bool { return s.status().ClockBound > 0 })
	if got := s.status().Newest; got.ID() != point || got.Tested == nil || got.Tested.Evidence[0] != "ping: passed" {
		t.Errorf("after a restart the tested point is %+v", got)
	}
	w.mustSend(5)
	same("after the source's clock was measured")
	must[cdp.Bounds](s, api.JournalHalt, api.RunRequest{Group: "g", Run: "r1"})
	if g := must[api.NewestReply](s, api.JournalNewest, api.Empty{}).Groups[0]; g.State != event.JournalHalted {
		t.Errorf("a halted journal says %s", g.State)
	}
	same("after a halt")
}
