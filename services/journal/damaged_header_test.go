package journal

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/engine/spool/spooltest"
)

// The header of a frame that the replica has passed is damaged in the store. Nothing
// stops for it: frames come in, the replica follows, and retention passes the frame. The
// damage is named. A scrub finds which points need what was damaged with the header, and
// they are marked in the list; all others read back.
func TestADamagedHeaderStopsNeitherReplicationNorRetention(t *testing.T) {
	s := &site{t: t, dir: t.TempDir(), mem: spooltest.NewMem(1 << 30), scrub: 20 * time.Millisecond}
	s.start(cdp.Rollback)
	w := newTraffic(s, 92)
	follows := func() bool { b := s.status().Bounds; return b.Head > 0 && b.Base == b.Head }
	w.mustSend(40)
	s.until("base", follows)
	points := must[api.PointsReply](s, api.JournalPoints, api.PointsRequest{Group: "g"}).Points
	s.history(points[2].Seq) // writes the index
	for range 2 {            // what was in the log is in tables then
		s.restart(cdp.Rollback)
	}
	s.shut()
	damageHeader(t, s.dir, w.m.Frames[19])
	s.start(cdp.Rollback)
	defer s.shut()
	s.until("the journal", func() bool { return s.head() > 0 })
	s.until("a scrub", func() bool { return !s.status().Scrubbed.IsZero() })
	points = must[api.PointsReply](s, api.JournalPoints, api.PointsRequest{Group: "g"}).Points
	unnamed := true // the first damaged one was not looked for in the status yet
	for i, p := range points {
		switch {
		case !p.Damaged:
			s.readsAt(w, p)
		case i < 4: // long before the damage
			t.Errorf("%s is marked as damaged", p.ID())
		case unnamed:
			unnamed = false
			if damage := s.status().Damage; !strings.Contains(damage, "frame ") || !strings.Contains(damage, p.ID()) {
				t.Errorf("the status does not name %s: %s", p.ID(), damage)
			}
		}
	}
	s.alarmed("damage: ")
	if len(marked(points)) == 0 {
		t.Fatal("the damage costs no point")
	}
	// After a restart the same points are marked, long before a scrub.
	s.until("the marks to be saved", func() bool { _, err := os.Stat(filepath.Join(s.dir, "damage", "g.json")); return err == nil })
	s.scrub = time.Hour
	s.restart(cdp.Rollback)
	s.until("the marks", func() bool {
		return slices.Equal(marked(points), marked(must[api.PointsReply](s, api.JournalPoints, api.PointsRequest{Group: "g"}).Points))
	})
	w.mustSend(5)
	s.until("base", follows)
	newest := points[30]
	s.history(newest.Seq)
	left := must[api.PointsReply](s, api.JournalPoints, api.PointsRequest{Group: "g"}).Points
	if left[0].Frame != newest.Frame {
		t.Fatalf("%d points are left, the oldest is %v", len(left), left[0])
	}
	for _, p := range []cdp.Point{left[len(left)/2], left[len(left)-1]} {
		if !p.Damaged {
			s.readsAt(w, p)
		}
	}
	if stuck := s.status().Stuck; stuck != nil {
		t.Errorf("it is stuck: %v", stuck)
	}
}

// marked are the points that are marked as damaged.
func marked(ps []cdp.Point) (out []cdp.FrameNo) {
	for _, p := range ps {
		if p.Damaged {
			out = append(out, p.Frame)
		}
	}
	return out
}

// history drops the history before a write, as a history limit does, and with it writes
// the index.
func (s *site) history(from cdp.Seq) {
	s.t.Helper()
	s.svc.mu.Lock()
	g := s.svc.groups["g"]
	s.svc.mu.Unlock()
	release := g.keeper.hold()
	defer release()
	var err error
	if g.vault.Bounds().Base < from {
		err = g.vault.Raise(s.t.Context(), from)
	}
	if err == nil {
		err = g.vault.Retain(s.t.Context(), from)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}
