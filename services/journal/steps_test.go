package journal

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/engine/spool/spooltest"
)

// steppingClock is the machine's clock, with a time of day that can be set.
type steppingClock struct {
	clock.Clock
	by atomic.Int64
}

func (c *steppingClock) Now() time.Time {
	return time.Now().Round(0).Add(time.Duration(c.by.Load()))
}

func steppingSite(t *testing.T) (*site, *steppingClock, *traffic) {
	c := &steppingClock{Clock: clock.System}
	s := &site{t: t, dir: t.TempDir(), mem: spooltest.NewMem(1 << 30), clock: c}
	s.start(cdp.Rollback)
	s.measured(time.Hour)
	return s, c, newTraffic(s, 77)
}

func (s *site) status() api.GroupStatus {
	r, err := call[api.StatusReply](s, api.JournalStatus, api.GroupRequest{Group: "g"})
	if err != nil {
		return api.GroupStatus{}
	}
	return r.Groups[0]
}

// measured waits until the source's clock is known to be so far behind.
func (s *site) measured(behind time.Duration) {
	s.t.Helper()
	s.until("a measurement", func() bool {
		st := s.status()
		return st.ClockBound > 0 && (st.ClockOffset-behind).Abs() <= st.ClockBound+time.Second
	})
}

// alarmed waits for an alarm with these words.
func (s *site) alarmed(words string) {
	s.t.Helper()
	s.until("an alarm: "+words, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return strings.Contains(strings.Join(s.alarms, "\n"), words)
	})
}

// The source's clock is set back ten minutes and then forward, and so is the
// target's. The times of points never run backwards, the one with which a point is
// listed finds that very point, and a time between two points finds what lies between
// them.
func TestTimesOfPointsStayInOrderWhenClocksStep(t *testing.T) {
	s, c, w := steppingSite(t)
	defer s.shut()
	w.mustSend(10)
	for _, d := range []time.Duration{10 * time.Minute, -20 * time.Minute, 10 * time.Minute} {
		s.late.Add(int64(d)) // the source
		w.mustSend(5)
	}
	s.alarmed("clock: ")
	for _, d := range []time.Duration{-10 * time.Minute, 20 * time.Minute, -10 * time.Minute} {
		c.by.Add(int64(d))
		w.mustSend(5)
	}
	points := must[api.PointsReply](s, api.JournalPoints, api.PointsRequest{Group: "g"}).Points
	if len(points) != len(w.m.Frames) {
		t.Fatalf("%d points of %d frames", len(points), len(w.m.Frames))
	}
	c.by.Add(int64(time.Hour)) // no time is in the future
	for i, p := range points {
		if r := must[api.Resolved](s, api.JournalResolve, api.ResolveRequest{Group: "g", At: &p.Time}); r.Seq != p.Seq {
			t.Errorf("%v means write %d, but is listed with point %s at write %d", p.Time, r.Seq, p.ID(), p.Seq)
		}
		if i == 0 {
			continue
		}
		was := points[i-1]
		if !p.Time.After(was.Time) {
			t.Errorf("point %s is at %v, %s before it at %v", p.ID(), p.Time, was.ID(), was.Time)
		}
		between := was.Time.Add(p.Time.Sub(was.Time) / 2)
		if r := must[api.Resolved](s, api.JournalResolve, api.ResolveRequest{Group: "g", At: &between}); r.Seq < was.Seq || r.Seq >= p.Seq {
			t.Errorf("%v, between points at writes %d and %d, means write %d", between, was.Seq, p.Seq, r.Seq)
		}
	}
}

// A source that gives false times, in frames and when its clock is measured, and a
// clock of this site that is set a day ahead do not make retention give history up.
// The false times are marked and told.
func TestFalseTimesEndNoHistory(t *testing.T) {
	s, c, w := steppingSite(t)
	defer s.shut()
	w.mustSend(20)
	all := func() int {
		was := s.looks.Load()
		s.until("retention", func() bool { return s.looks.Load() > was+30 }) // it looks at every tenth
		return s.status().Points
	}
	w.ahead = 25 * time.Hour
	w.mustSend(10)
	if n := all(); n != 30 {
		t.Fatalf("a source that is 25 h ahead left %d points of 30", n)
	}
	points := must[api.PointsReply](s, api.JournalPoints, api.PointsRequest{Group: "g"}).Points
	newest := points[len(points)-1]
	if !newest.Doubtful || newest.Time.After(time.Now().Add(time.Minute)) || newest.Bound < 24*time.Hour {
		t.Errorf("the time of %+v is believed", newest)
	}
	s.alarmed("cannot be true")
	c.by.Add(int64(25 * time.Hour))
	w.mustSend(10)
	if n := all(); n != 40 {
		t.Fatalf("a target's clock that was set 25 h ahead left %d points of 40", n)
	}
	s.alarmed("this site's clock stepped by 2") // 25 h, or a little less
}

// A source whose answers about its clock cannot be true is not believed, and told.
func TestANegativeRoundTripIsRefused(t *testing.T) {
	s := &site{t: t, dir: t.TempDir(), mem: spooltest.NewMem(1 << 30)}
	s.lie = func(received, sent int64) (int64, int64) { return received, sent + int64(25*time.Hour) }
	s.start(cdp.Rollback)
	defer s.shut()
	w := newTraffic(s, 78)
	w.mustSend(5)
	s.alarmed("is not believed")
	if st := s.status(); st.ClockBound != 0 || st.ClockOffset != 0 {
		t.Errorf("it is believed: %v ± %v", st.ClockOffset, st.ClockBound)
	}
}
