package journal

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/engine/spool/spooltest"
)

// A damaged file of an export or of a fill costs nothing while its copy is whole. With
// both damaged the export is refused and named, and what was written to it is kept
// until it is closed; the journal and its other exports go on.
func TestADamagedFileOfAnExportStopsNothingElse(t *testing.T) {
	s := &site{t: t, dir: t.TempDir(), mem: spooltest.NewMem(1 << 30)}
	s.start(cdp.Rollback)
	w := newTraffic(s, 91)
	w.mustSend(10)
	point := must[api.PointsReply](s, api.JournalPoints, api.PointsRequest{Group: "g"}).Points[5]
	open := func(id string) (api.Export, error) {
		return call[api.Export](s, api.JournalOpen, api.OpenRequest{Group: "g", ID: id, Seq: point.Seq, Scratch: true, Purpose: "test"})
	}
	for _, id := range []string{"once", "twice"} {
		e, err := open(id)
		if err != nil {
			t.Fatal(err)
		}
		scribble(t, e)
	}
	fill := api.FillRequest{Group: "g", Run: "t1", Seq: point.Seq}
	must[api.MoveReply](s, api.JournalFill, fill)
	s.shut()
	record := func(id string) string { return filepath.Join(s.dir, "x", "g", id, recordName) }
	spoil(t, record("once"), record("twice"), record("twice")+".copy", filepath.Join(s.dir, "x", "g.fill"), filepath.Join(s.dir, "x", "g.fill.copy"))

	s.start(cdp.Rollback)
	defer s.shut()
	w.mustSend(10)
	e, err := open("once")
	if err != nil {
		t.Fatal(err)
	}
	checkScribble(t, e)
	if _, err := open("twice"); !cdp.Is(err, cdp.Corrupt) || !strings.Contains(cdp.HintOf(err), "close the export") {
		t.Errorf("an export whose record is lost: %v", err)
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(record("twice")), "root.data")); err != nil {
		t.Errorf("what was written to it is gone: %v", err)
	}
	damage := s.status().Damage
	for _, name := range []string{record("twice"), "g.fill"} {
		if !strings.Contains(damage, name) {
			t.Errorf("the status does not name %s: %s", name, damage)
		}
	}
	s.alarmed("damage: ")
	must[api.MoveReply](s, api.JournalFill, fill)
	must[api.Empty](s, api.JournalFillStop, api.RunRequest{Group: "g", Run: "t1"})
	must[api.Empty](s, api.JournalClose, api.CloseRequest{Group: "g", ID: "twice"})
	if e, err = open("twice"); err != nil {
		t.Fatal(err)
	}
	s.checkExport(w.m, point.Seq, e)
}

// spoil flips a bit in the middle of each file.
func spoil(t *testing.T, paths ...string) {
	t.Helper()
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		bad := bytes.Clone(data)
		bad[len(bad)/3] ^= 0x10
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
