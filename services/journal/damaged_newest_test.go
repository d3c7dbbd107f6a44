package journal

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"tidemark.dev/pkg/adapter/pebblestore"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/engine/spool/spooltest"
	"tidemark.dev/pkg/engine/vault/vaulttest"
)

// The newest frames of a store are damaged. The replica has them already, and what they
// wrote is not in the index. A repair keeps every point before the damage: the replica
// goes back to where history ends, and the source goes on from there.
func TestDamageInTheNewestFramesKeepsTheHistoryBeforeIt(t *testing.T) {
	for name, c := range map[string]struct {
		after int // how many follow the damaged frame
		hurt  func(t *testing.T, dir string, raw []byte)
	}{
		"the newest is missing":             {0, removeFrame},
		"one before others is missing":      {3, removeFrame},
		"the header of the newest is wrong": {0, damageHeader},
	} {
		t.Run(name, func(t *testing.T) {
			s := &site{t: t, dir: t.TempDir(), mem: spooltest.NewMem(1 << 30)}
			s.start(cdp.Rollback)
			w := newTraffic(s, 94)
			w.mustSend(2)
			s.until("the first point", func() bool { return s.status().Bounds.Horizon > 0 })
			s.restart(cdp.Rollback)
			for range 6 {
				w.mustLarge()
			}
			sent, bad, points := 0, 0, []cdp.Point(nil)
			var done pebblestore.Repaired
			err := errors.New("nothing was repaired yet")
			// Now and then a compaction puts the frame into one table with what no repair can do
			// without. Then a later frame is tried.
			for n := 0; n < 10 && err != nil; n++ {
				if n > 0 {
					s.start(cdp.Rollback)
					s.until("the journal", func() bool { return s.head() > 0 })
				}
				for range 1 + c.after {
					w.mustLarge()
				}
				s.until("base", func() bool { b := s.status().Bounds; return b.Base == b.Head })
				points = must[api.PointsReply](s, api.JournalPoints, api.PointsRequest{Group: "g"}).Points
				s.shut()
				sent = len(w.m.Frames)
				bad = sent - c.after
				at := t.TempDir()
				if err := os.CopyFS(filepath.Join(at, "db"), os.DirFS(filepath.Join(s.dir, "db"))); err != nil {
					t.Fatal(err)
				}
				c.hurt(t, at, w.m.Frames[bad-1])
				if done, err = pebblestore.Repair(filepath.Join(at, "db"), "g", pebblestore.RepairOptions{Write: true}); err == nil {
					s.store = filepath.Join(at, "db")
				}
			}
			if err != nil || done.Points != bad-int(points[0].Frame) || len(done.Losses) != 1 || len(done.Losses[0].Points) != sent-bad+1 {
				t.Fatalf("of %d points: %+v, %v", len(points), done, err)
			}
			if err := w.sink.Recreate(context.Background(), cdp.FrameNo(sent+1)); err != nil { // the stream was purged
				t.Fatal(err)
			}
			cur := s.cursorAfterRepair()
			last := points[bad-1-int(points[0].Frame)]
			if cur.Frame != last.Frame || cur.Head != last.Seq {
				t.Fatalf("the source goes on after %+v, the newest point is %v", cur, last)
			}
			same(t, w.at(cur.Head), s.images())
			if err := w.sink.Recreate(context.Background(), cur.Frame+1); err != nil {
				t.Fatal(err)
			}
			w.m.GoOnAfter(cur.Frame, cur.Head, frame.Hash(cur.Hash))
			w.frames = w.frames[:cur.Frame]
			w.epoch, w.extent = 2, true
			w.mustSend(3)
			s.until("base", func() bool { b := s.status().Bounds; return b.Base == b.Head && s.status().Stuck == nil })
			for _, p := range must[api.PointsReply](s, api.JournalPoints, api.PointsRequest{Group: "g"}).Points {
				s.readsAt(w, p)
			}
			same(t, w.at(s.head()), s.images())
			s.shut()
		})
	}
}

// cursorAfterRepair starts the site on a store that was repaired, and is where the
// source goes on once the replica is where history ends.
func (s *site) cursorAfterRepair() api.Cursor {
	s.t.Helper()
	s.start(cdp.Rollback)
	s.until("the journal", func() bool { return s.head() > 0 })
	s.until("the replica to go back", func() bool { b := s.status().Bounds; return b.Base == b.Head })
	return must[api.Cursor](s, api.JournalCursor, api.GroupRequest{Group: "g"})
}

// mustLarge sends a frame that is stored as a table of its own: blocks that others wrote
// before, one that none did, and a region that is zeroed.
func (w *traffic) mustLarge() {
	w.s.t.Helper()
	n := int64(len(w.m.Frames))
	ws := []vaulttest.ModelWrite{w.m.RandomWrite(w.rng), {Disk: 0, Off: 2*cdp.RegionSize + n*cdp.BlockSize, Len: cdp.BlockSize},
		{Disk: 1, Off: n * 3 * cdp.BlockSize, Len: 8 * cdp.BlockSize}, {Disk: 0, Off: 16 << 10, Len: 200 << 10}, w.m.RandomWrite(w.rng)}
	if err := w.publish(frame.Consistent|frame.Marker, ws...); err != nil {
		w.s.t.Fatal(err)
	}
	w.s.until("all writes", func() bool { return w.s.head() == cdp.Seq(len(w.m.Writes)) })
}

// removeFrame removes the table of a frame.
func removeFrame(t *testing.T, dir string, raw []byte) {
	t.Helper()
	f, err := frame.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(storedIn(t, dir, f.HeaderBytes())); err != nil {
		t.Fatal(err)
	}
}

func damageHeader(t *testing.T, dir string, raw []byte) {
	t.Helper()
	f, err := frame.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	damageStored(t, dir, f.HeaderBytes())
}
