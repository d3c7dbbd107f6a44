package journal

import (
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/engine/spool/spooltest"
)

// A table of what blocks held before they were overwritten is damaged, or one of the
// replica's checksums. The damage is named, base moves on, and new points are exact. An
// older point reads back exactly or fails; it never reads as something else. A block that
// was written in part only since then needs its floor for some newer points, too.
func TestLostFloorsAndSums(t *testing.T) {
	for name, x := range map[string]struct {
		kind string
		at   int
	}{
		"floor": {"o", 40}, "floors": {"o", -30},
		"sum": {"t", 40}, "sums": {"t", -30},
	} {
		t.Run(name, func(t *testing.T) {
			s := &site{t: t, dir: t.TempDir(), mem: spooltest.NewMem(1 << 30)}
			s.start(cdp.Rollback)
			w := newTraffic(s, 98)
			follows := func() bool { b := s.status().Bounds; return b.Head > 0 && b.Base == b.Head && s.status().Stuck == nil }
			w.mustSend(20)
			s.until("base", follows)
			old := s.listed()
			for range 2 { // what was in the log is in tables then
				s.restart(cdp.Rollback)
			}
			s.shut()
			damageTable(t, storedIn(t, s.dir, []byte("\x00\x00\x00\x01"+x.kind)), x.at)

			s.start(cdp.Rollback)
			defer s.shut()
			s.until("the journal", func() bool { return s.head() > 0 })
			w.mustSend(5)
			s.until("base", follows)
			s.alarmed("damage: ")
			now := s.listed()
			if len(now) != len(old)+5 {
				t.Fatalf("%d points, %d before", len(now), len(old))
			}
			for i, p := range now {
				e := must[api.Export](s, api.JournalOpen, api.OpenRequest{Group: "g", ID: "look", Seq: p.Seq, Purpose: "export"})
				err := s.readExport(w.m, p.Seq, e)
				must[api.Empty](s, api.JournalClose, api.CloseRequest{Group: "g", ID: "look"})
				if err == nil {
					continue
				}
				if i == len(now)-1 || x.kind == "t" { // how many floors are in the damaged table is Pebble's affair
					t.Errorf("%s cannot be read: %v", p.ID(), err)
				}
			}
			s.history(now[len(now)-1].Seq) // what needs no floor is whole
			s.readsAt(w, s.listed()[0])
			w.mustSend(5)
			s.until("base", follows)
			for _, p := range s.listed() {
				s.readsAt(w, p)
			}
		})
	}
}
