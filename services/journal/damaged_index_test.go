package journal

import (
	"os"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/engine/spool/spooltest"
)

// A table of the index is damaged. The index is made anew from the frames: the damage is
// named, base moves on, and it costs no point.
func TestADamagedIndexCostsNothing(t *testing.T) {
	for name, at := range map[string]int{"a block": 40, "the footer": -30} {
		t.Run(name, func(t *testing.T) {
			s := &site{t: t, dir: t.TempDir(), mem: spooltest.NewMem(1 << 30)}
			s.start(cdp.Rollback)
			w := newTraffic(s, 97)
			follows := func() bool { b := s.status().Bounds; return b.Head > 0 && b.Base == b.Head && s.status().Stuck == nil }
			w.mustSend(20)
			s.until("base", follows)
			points := must[api.PointsReply](s, api.JournalPoints, api.PointsRequest{Group: "g"}).Points
			s.history(points[2].Seq) // writes the index
			w.mustSend(5)
			s.until("base", follows)
			points = must[api.PointsReply](s, api.JournalPoints, api.PointsRequest{Group: "g"}).Points
			s.shut()
			damageTable(t, storedIn(t, s.dir, []byte("\x00\x00\x00\x01h")), at)

			s.start(cdp.Rollback)
			defer s.shut()
			s.until("the journal", func() bool { return s.head() > 0 })
			w.mustSend(5)
			s.until("base", follows)
			s.alarmed("damage: ")
			left := must[api.PointsReply](s, api.JournalPoints, api.PointsRequest{Group: "g"}).Points
			if len(left) != len(points)+5 || len(marked(left)) != 0 {
				t.Errorf("%d points of %d are left, %d are marked as damaged", len(left)-5, len(points), len(marked(left)))
			}
			for _, p := range left {
				s.readsAt(w, p)
			}
			s.history(left[6].Seq)
			s.readsAt(w, left[6])
		})
	}
}

// The index is damaged while the job is failed over. It is made anew at once: the replica
// is brought to the point, and another point is read.
func TestAFailoverOverADamagedIndex(t *testing.T) {
	for name, at := range map[string]int{"block": 40, "foot": -30} {
		t.Run(name, func(t *testing.T) {
			s := &site{t: t, dir: t.TempDir(), mem: spooltest.NewMem(1 << 30)}
			s.start(cdp.RollForward)
			w := newTraffic(s, 99)
			w.mustSend(20)
			s.until("the first point", func() bool { return s.status().Bounds.Horizon > 0 })
			s.history(s.listed()[2].Seq) // writes the index
			s.restart(cdp.RollForward)   // what was in the log is in tables then
			points := s.listed()
			must[cdp.Bounds](s, api.JournalHalt, run1)
			s.shut()
			damageTable(t, storedIn(t, s.dir, []byte("\x00\x00\x00\x01h")), at)

			s.start(cdp.RollForward)
			defer s.shut()
			s.until("the journal", func() bool { return s.head() > 0 })
			to := points[len(points)-1]
			s.untilBase("r1", to.Seq)
			same(t, w.at(to.Seq), s.images())
			s.until("a view, perhaps while the index is made anew", func() bool {
				_, err := call[api.Export](s, api.JournalOpen, api.OpenRequest{Group: "g", ID: "look", Seq: points[3].Seq, Purpose: "export"})
				return err == nil
			})
			s.readsAt(w, points[3])
			s.alarmed("damage: ")
		})
	}
}

// damageTable changes a bit of a file, at an offset from its end if that is negative.
func damageTable(t *testing.T, path string, at int) {
	t.Helper()
	if at < 0 {
		st, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		at += int(st.Size())
	}
	flipIn(t, path, at)
}
