package journal

import (
	"context"
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
// wrote is not in the index. The journal opens by itself and keeps every point before the
// damage, as a repair by hand does: the replica goes back to where history ends, and the
// source goes on from there.
func TestDamageInTheNewestFramesKeepsTheHistoryBeforeIt(t *testing.T) {
	for name, c := range map[string]struct {
		after int // how many follow the damaged frame
		hurt  func(t *testing.T, dir string, raw []byte)
	}{
		"the newest is missing":              {0, removeFrame},
		"one before others is missing":       {3, removeFrame},
		"the header of the newest is wrong":  {0, damageHeader},
		"the header of one before others is": {3, damageHeader},
		"the content of the newest is wrong": {0, damageEnd},
	} {
		t.Run(name, func(t *testing.T) {
			s := &site{t: t, dir: t.TempDir(), mem: spooltest.NewMem(1 << 30)}
			s.start(cdp.Rollback)
			w := newTraffic(s, 94)
			w.mustSend(2)
			s.until("the first point", func() bool { return s.status().Bounds.Horizon > 0 })
			s.restart(cdp.Rollback)
			for range 7 + c.after {
				w.mustLarge()
			}
			s.until("base", func() bool { b := s.status().Bounds; return b.Base == b.Head })
			points := must[api.PointsReply](s, api.JournalPoints, api.PointsRequest{Group: "g"}).Points
			s.shut()
			sent := len(w.m.Frames)
			bad := sent - c.after
			c.hurt(t, s.dir, w.m.Frames[bad-1])

			left := bad - int(points[0].Frame)
			byHand := filepath.Join(t.TempDir(), "db")
			if err := os.CopyFS(byHand, os.DirFS(filepath.Join(s.dir, "db"))); err != nil {
				t.Fatal(err)
			}
			done, err := pebblestore.Repair(byHand, "g", pebblestore.RepairOptions{Write: true})
			if err != nil || done.Points != left || len(done.Losses) != 1 || len(done.Losses[0].Points) != sent-bad+1 {
				t.Fatalf("of %d points: %+v, %v", len(points), done, err)
			}
			if err := w.sink.Recreate(context.Background(), cdp.FrameNo(sent+1)); err != nil { // the stream was purged
				t.Fatal(err)
			}
			cur := s.cursorAfterDamage()
			last := points[left-1]
			if cur.Frame != last.Frame || cur.Head != last.Seq {
				t.Fatalf("the source goes on after %+v, the newest point is %v", cur, last)
			}
			lost := s.status().Losses
			if len(lost) != 1 || len(lost[0].Points) != sent-bad+1 {
				t.Fatalf("lost: %+v", lost)
			}
			s.alarmed(AlarmLost)
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

// cursorAfterDamage starts the site on a store whose end is damaged, and is where the
// source goes on once the replica is where history ends.
func (s *site) cursorAfterDamage() api.Cursor {
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

// damageEnd damages the last bytes that a frame wrote.
func damageEnd(t *testing.T, dir string, raw []byte) {
	t.Helper()
	f, err := frame.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	damageStored(t, dir, f.Payload()[f.PayloadLen-cdp.SectorSize:])
}
