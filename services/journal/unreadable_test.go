package journal

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/engine/spool/spooltest"
)

// A frame that the replica still has to get is damaged in the store. History ends before
// it: the points that it costs are named, those before it read back, the replica follows,
// and the source goes on in a new extent.
func TestADamagedFrameEndsHistoryAndNotReplication(t *testing.T) {
	s := &site{t: t, dir: t.TempDir(), mem: spooltest.NewMem(1 << 30)}
	s.start(cdp.RollForward)
	w := newTraffic(s, 91)
	w.mustSend(40)
	s.until("the first point", func() bool { return s.status().Bounds.Horizon > 0 })
	s.history(s.listed()[2].Seq) // writes the index
	for range 2 {                // what was in the log is in tables then
		s.restart(cdp.RollForward)
	}
	points := s.listed()
	s.shut()
	const damaged = 30
	damageFrame(t, s.dir, w.m.Frames[damaged-1])
	if err := w.sink.Recreate(context.Background(), 41); err != nil { // the stream was purged
		t.Fatal(err)
	}
	s.start(cdp.Rollback) // base has to pass it
	defer s.shut()
	s.until("the journal", func() bool { return s.head() > 0 })
	s.until("the loss", func() bool { return len(s.status().Losses) > 0 })
	lost := s.status().Losses
	bad := lost[0].From // frames that share a block with the damaged one are lost with it
	if len(lost) != 1 || bad > damaged || bad < damaged-10 || lost[0].To != 40 || len(lost[0].Points) != 40-int(bad)+1 {
		t.Fatalf("lost: %v", lost)
	}
	s.until("the alarm", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return slices.ContainsFunc(s.alarms, func(a string) bool { return strings.HasPrefix(a, AlarmLost) })
	})
	c := must[api.Cursor](s, api.JournalCursor, api.GroupRequest{Group: "g"})
	if last := points[bad-1-points[0].Frame]; c.Frame != last.Frame || c.Head != last.Seq {
		t.Fatalf("the source goes on after %+v, the newest point is %v", c, last)
	}
	if err := w.sink.Recreate(context.Background(), c.Frame+1); err != nil {
		t.Fatal(err)
	}
	w.m.GoOnAfter(c.Frame, c.Head, frame.Hash(c.Hash))
	w.epoch, w.extent = 2, true
	w.mustSend(5)
	s.until("base", func() bool { b := s.status().Bounds; return b.Base == b.Head && s.status().Stuck == nil })
	left := must[api.PointsReply](s, api.JournalPoints, api.PointsRequest{Group: "g"}).Points
	if want := int(bad-points[0].Frame) + 5; len(left) != want {
		t.Fatalf("%d points are left of %d", len(left), want)
	}
	for _, p := range left {
		s.readsAt(w, p)
	}
	s.restart(cdp.Rollback)
	s.readsAt(w, left[len(left)-1])
}

// A failover has to pass a damaged frame. It ends in words: what is damaged, where the
// replica is, and what to do. That works: the run is undone, and another reaches a point
// before the damage.
func TestAFailoverOverADamagedFrameNamesTheWayOut(t *testing.T) {
	s := &site{t: t, dir: t.TempDir(), mem: spooltest.NewMem(1 << 30)}
	s.start(cdp.RollForward)
	w := newTraffic(s, 93)
	w.mustSend(40)
	s.until("the first point", func() bool { return s.status().Bounds.Horizon > 0 })
	s.history(s.listed()[2].Seq) // writes the index
	for range 2 {                // what was in the log is in tables then
		s.restart(cdp.RollForward)
	}
	points := s.listed()
	s.shut()
	damageFrame(t, s.dir, w.m.Frames[29])
	s.start(cdp.RollForward)
	defer s.shut()
	s.until("the journal", func() bool { return s.head() > 0 })
	must[cdp.Bounds](s, api.JournalHalt, run1)
	var err error
	s.until("the damage", func() bool {
		_, err = call[api.MoveReply](s, api.JournalMoveBase, api.MoveRequest{Group: "g", Run: "r1", Seq: points[len(points)-1].Seq})
		return err != nil
	})
	hint := cdp.HintOf(err)
	if !cdp.Is(err, cdp.Corrupt) || !strings.Contains(err.Error(), "stays at write") || !strings.Contains(hint, "failover undo g") || !strings.Contains(hint, "point list g") {
		t.Fatalf("%v; %s", err, hint)
	}
	must[cdp.Bounds](s, api.JournalResume, run1)
	must[cdp.Bounds](s, api.JournalHalt, run1)
	s.untilBase("r1", points[2].Seq)
	same(t, w.at(points[2].Seq), s.images())
}

// damageFrame flips a bit of a frame's payload in the table that holds it.
func damageFrame(t *testing.T, dir string, raw []byte) {
	t.Helper()
	f, err := frame.Parse(raw)
	if err != nil || f.PayloadLen == 0 {
		t.Fatalf("frame %d has %d bytes, %v", f.No, f.PayloadLen, err)
	}
	damageStored(t, dir, f.Payload()[:min(len(f.Payload()), 512)])
}

// damageStored flips a bit of what is stored in a table.
func damageStored(t *testing.T, dir string, what []byte) {
	t.Helper()
	name := storedIn(t, dir, what)
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	data[bytes.Index(data, what)+9] ^= 4
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// storedIn is the newest table that holds something.
func storedIn(t *testing.T, dir string, what []byte) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "db", "g", "*.sst"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Backward(names) {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(data, what) {
			return name
		}
	}
	t.Fatalf("it is in none of %s", strings.Join(names, " "))
	return ""
}

func (s *site) listed() []cdp.Point {
	return must[api.PointsReply](s, api.JournalPoints, api.PointsRequest{Group: "g"}).Points
}
