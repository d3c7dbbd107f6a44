package journal

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/engine/spool/spooltest"
	"tidemark.dev/pkg/engine/vault/vaulttest"
)

// The service is killed, and the end of its newest log is lost. What it had reported
// as durable and does not have any more is named, with points and tags, in the status
// and by an alarm. What it still has reads back.
func TestHistoryLostAtTheEndOfTheLogIsNamed(t *testing.T) {
	s := &site{t: t, dir: t.TempDir(), mem: spooltest.NewMem(1 << 30)}
	s.start(cdp.RollForward)
	w := newTraffic(s, 91)
	w.mustSend(5)
	kept := s.newest()
	log, size := newestLog(t, s.dir)
	w.mustSend(5)
	lost := s.newest()
	must[cdp.Point](s, api.JournalEditPoint, api.EditPointRequest{Group: "g", Point: lost.ID(), AddTags: []string{"gold"}})
	after := &site{t: t, dir: s.killed(), mem: spooltest.NewMem(1 << 30)}
	s.shut()
	loseEnd(t, filepath.Join(after.dir, log), size)

	after.start(cdp.RollForward)
	defer after.shut()
	after.until("the journal", func() bool { return after.head() > 0 })
	if n := after.newest(); n.ID() != kept.ID() {
		t.Fatalf("the newest point is %s; the log was cut after %s", n.ID(), kept.ID())
	}
	st := must[api.StatusReply](after, api.JournalStatus, api.GroupRequest{Group: "g"}).Groups[0]
	if len(st.Losses) != 1 || st.Losses[0].From != kept.Frame+1 || st.Losses[0].To != lost.Frame {
		t.Fatalf("lost: %v", st.Losses)
	}
	if ps := st.Losses[0].Points; len(ps) != 5 || !slices.Equal(ps[4].Tags, []string{"gold"}) || ps[4].ID() != lost.ID() {
		t.Errorf("points: %v", ps)
	}
	after.until("an alarm that names the point", func() bool {
		after.mu.Lock()
		defer after.mu.Unlock()
		return slices.ContainsFunc(after.alarms, func(a string) bool {
			return strings.HasPrefix(a, AlarmLost) && strings.Contains(a, lost.ID()+" [gold]")
		})
	})
	after.readsAt(w, kept)
}

// The service is killed, and its log is damaged before the end. The journal opens by itself
// without what was written from there on, and names it. The source goes on from where
// history ends. Every new point reads back. One that is left reads back or is refused: the
// replica has later writes, and what their blocks held before was in the lost log.
func TestAJournalWithADamagedLogOpensByItself(t *testing.T) {
	s := &site{t: t, dir: t.TempDir(), mem: spooltest.NewMem(1 << 30)}
	s.start(cdp.Rollback)
	w := newTraffic(s, 96)
	w.mustSend(2)
	s.until("the first point", func() bool { return s.status().Bounds.Horizon > 0 })
	s.restart(cdp.Rollback)
	w.mustSend(5)
	s.until("base", func() bool { b := s.status().Bounds; return b.Base == b.Head })
	log, size := newestLog(t, s.dir)
	kept := s.newest()
	w.mustSend(12)
	s.until("base", func() bool { b := s.status().Bounds; return b.Base == b.Head })
	lost := s.newest()
	after := &site{t: t, dir: s.killed(), mem: spooltest.NewMem(1 << 30)}
	s.shut()
	flipIn(t, filepath.Join(after.dir, log), size+size/16)

	w.s, w.sink = after, after.mem.Sink(t)
	if err := w.sink.Recreate(t.Context(), cdp.FrameNo(len(w.m.Frames)+1)); err != nil { // the stream was purged
		t.Fatal(err)
	}
	cur := after.cursorAfterDamage()
	defer after.shut()
	if cur.Frame < kept.Frame || cur.Frame >= lost.Frame {
		t.Fatalf("the source goes on after frame %d; the log was damaged after %d of %d", cur.Frame, kept.Frame, lost.Frame)
	}
	after.alarmed(AlarmLost)
	if ls := after.status().Losses; len(ls) != 1 || ls[0].To != lost.Frame || len(ls[0].Points) != int(lost.Frame-cur.Frame) {
		t.Errorf("lost: %+v", ls)
	}
	if err := w.sink.Recreate(t.Context(), cur.Frame+1); err != nil {
		t.Fatal(err)
	}
	w.m.GoOnAfter(cur.Frame, cur.Head, frame.Hash(cur.Hash))
	w.frames = w.frames[:cur.Frame]
	w.epoch = 2
	flags := frame.ExtentStart
	for d, disk := range testDisks { // the source sends what it has, in a new extent
		for off := int64(0); off < disk.Size; off += 256 << 10 {
			if err := w.publish(flags, vaulttest.ModelWrite{Disk: cdp.DiskID(d), Off: off, Len: min(256<<10, disk.Size-off)}); err != nil {
				t.Fatal(err)
			}
			flags = 0
		}
	}
	w.mustSend(3)
	after.until("base", func() bool { b := after.status().Bounds; return b.Base == b.Head && after.status().Stuck == nil })
	read := 0
	for _, p := range must[api.PointsReply](after, api.JournalPoints, api.PointsRequest{Group: "g"}).Points {
		e := must[api.Export](after, api.JournalOpen, api.OpenRequest{Group: "g", ID: "look", Seq: p.Seq, Purpose: "export"})
		err := after.readExport(w.m, p.Seq, e)
		if err != nil && p.Seq > cur.Head {
			t.Errorf("%s, which is newer than the damage: %v", p.ID(), err)
		}
		if err == nil {
			read++
		}
		must[api.Empty](after, api.JournalClose, api.CloseRequest{Group: "g", ID: "look"})
	}
	if read < 3 {
		t.Errorf("%d points can be read", read)
	}
}

// flipIn changes a bit of a file.
func flipIn(t *testing.T, path string, at int) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err == nil {
		raw[at] ^= 0x10
		err = os.WriteFile(path, raw, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// killed is a copy of the directory as kill -9 leaves it. The store still tidies up:
// the copy is taken again until nothing changed meanwhile.
func (s *site) killed() string {
	s.t.Helper()
	for end := time.Now().Add(time.Minute); ; {
		before, dir := s.files(), s.t.TempDir()
		err := os.CopyFS(dir, os.DirFS(s.dir))
		if err == nil && slices.Equal(before, s.files()) {
			return dir
		}
		if time.Now().After(end) {
			s.t.Fatal("the directory never rests:", err)
		}
	}
}

// files is all files of the directory, each with its size and time.
func (s *site) files() (all []string) {
	_ = filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil {
			var info fs.FileInfo
			if info, err = d.Info(); err == nil {
				all = append(all, fmt.Sprint(path, info.Size(), info.ModTime()))
			}
		}
		return nil // a file that has just gone is seen the next time
	})
	return all
}

// newest is the newest point.
func (s *site) newest() cdp.Point {
	s.t.Helper()
	ps := must[api.PointsReply](s, api.JournalPoints, api.PointsRequest{Group: "g", Last: 1}).Points
	if len(ps) != 1 {
		s.t.Fatal("there is no point")
	}
	return ps[0]
}

// readsAt compares a point with what the source wrote.
func (s *site) readsAt(w *traffic, p cdp.Point) {
	s.t.Helper()
	e := must[api.Export](s, api.JournalOpen, api.OpenRequest{Group: "g", ID: "look", Seq: p.Seq, Purpose: "export"})
	s.checkExport(w.m, p.Seq, e)
	must[api.Empty](s, api.JournalClose, api.CloseRequest{Group: "g", ID: "look"})
}

// newestLog is the newest log of the group's store, below dir, and how much of it is
// written.
func newestLog(t *testing.T, dir string) (name string, size int) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "db", "g", "*.log"))
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	raw, err := os.ReadFile(slices.Max(names))
	if err == nil {
		name, err = filepath.Rel(dir, slices.Max(names))
	}
	if err != nil {
		t.Fatal(err)
	}
	return name, len(bytes.TrimRight(raw, "\x00"))
}

// loseEnd makes a file end in zeros from size on.
func loseEnd(t *testing.T, path string, size int) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err == nil {
		clear(raw[size:])
		err = os.WriteFile(path, raw, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}
