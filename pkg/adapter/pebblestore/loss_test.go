package pebblestore

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/history"
	"tidemark.dev/pkg/engine/vault"
)

// killed copies the stores as kill -9 leaves them: with what was written and no more.
func killed(t *testing.T, dir string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "store")
	if err := os.CopyFS(out, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return out
}

// cutLog damages the newest log of a store where its last record is.
func cutLog(t *testing.T, dir string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	name := slices.Max(names)
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	raw[len(bytes.TrimRight(raw, "\x00"))-3] ^= 0x10
	if err := os.WriteFile(name, raw, 0o600); err != nil {
		t.Fatal(err)
	}
}

// loseLog has the newest log of a store end where it ended in an earlier copy.
func loseLog(t *testing.T, dir, earlier string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(earlier, "*.log"))
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	raw, err := os.ReadFile(slices.Max(names))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, filepath.Base(slices.Max(names))), raw, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (w *writer) point(t *testing.T, no cdp.FrameNo, tags ...string) cdp.Point {
	t.Helper()
	p := cdp.Point{Frame: no, Seq: w.last.Last(), Tags: tags}
	u := w.g.Begin()
	u.PutPoint(p)
	if err := u.Commit(); err != nil {
		t.Fatal(err)
	}
	return p
}

// The last record of the newest log is damaged after kill -9. It looks as if it was
// never written. What was durable and is gone is known by name, after further
// restarts too, until history does not go back to it.
func TestWhatADamagedEndOfTheLogTookIsKnown(t *testing.T) {
	dir := t.TempDir()
	db := mustOpen(t, dir)
	defer db.Close()
	w := &writer{g: mustGroup(t, db, "g")}
	w.store(t, 3, 4096)
	kept := w.point(t, 3, "kept")
	w.store(t, 1, 4096)
	copied := killed(t, dir)
	// The point of frame 4 is noted, as it is before it is stored.
	s := db.store("g")
	lost := cdp.Point{Frame: 4, Seq: w.last.Last(), Tags: []string{"before-upgrade"}}
	s.durable.points([]notedPoint{{Point: lost}})
	raw, err := os.ReadFile(filepath.Join(dir, "g", durableName))
	if err == nil {
		err = os.WriteFile(filepath.Join(copied, "g", durableName), raw, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	cutLog(t, filepath.Join(copied, "g"))
	for range 3 {
		db := mustOpen(t, copied)
		g := mustGroup(t, db, "g")
		l, err := g.Load()
		if err != nil || l.Newest.No != 3 {
			t.Fatalf("newest %+v, %v", l.Newest, err)
		}
		got, err := db.Losses("g")
		if err != nil || len(got) != 1 || got[0].From != 4 || got[0].To != 4 || len(got[0].Points) != 1 || got[0].Points[0].Tags[0] != "before-upgrade" {
			t.Fatalf("%+v, %v", got, err)
		}
		var points []cdp.Point
		if err := g.Points(func(p cdp.Point) error { points = append(points, p); return nil }); err != nil || len(points) != 1 || points[0].ID() != kept.ID() {
			t.Fatalf("%v, %v", points, err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	db2 := mustOpen(t, copied)
	defer db2.Close()
	w2 := &writer{g: mustGroup(t, db2, "g"), last: w.last}
	w2.store(t, 1, 4096)
	u := w2.g.Begin()
	u.DropFrames(5)
	if err := u.Commit(); err != nil {
		t.Fatal(err)
	}
	if got, err := db2.Losses("g"); err != nil || len(got) != 0 {
		t.Fatalf("history does not go back to it: %+v, %v", got, err)
	}
}

// A tag was the last thing that was stored, and the end of the log is damaged. The
// point is there; so it gets its tag back.
func TestATagAtTheDamagedEndOfTheLogIsRestored(t *testing.T) {
	dir := t.TempDir()
	db := mustOpen(t, dir)
	defer db.Close()
	w := &writer{g: mustGroup(t, db, "g")}
	w.store(t, 2, 4096)
	w.point(t, 2)
	w.point(t, 2, "gold")
	copied := killed(t, dir)
	cutLog(t, filepath.Join(copied, "g"))
	db2 := mustOpen(t, copied)
	defer db2.Close()
	var points []cdp.Point
	if err := mustGroup(t, db2, "g").Points(func(p cdp.Point) error { points = append(points, p); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(points) != 1 || !slices.Equal(points[0].Tags, []string{"gold"}) {
		t.Fatalf("%+v", points)
	}
	if got, err := db2.Losses("g"); err != nil || len(got) != 0 {
		t.Fatalf("nothing is lost: %+v, %v", got, err)
	}
}

// The end of the log is damaged, and frames that came later are in tables, with the
// index of both. History ends before the hole: the numbers behind it are given to
// other writes, which must not be found under the old index.
func TestNothingIsKeptBehindAHole(t *testing.T) {
	dir := t.TempDir()
	db := mustOpen(t, dir)
	defer db.Close()
	w := &writer{g: mustGroup(t, db, "g")}
	w.store(t, 3, 4096)
	if err := w.g.AddIndex(w.last.No, nil); err != nil {
		t.Fatal(err)
	}
	before, whole := w.last, killed(t, dir)
	w.store(t, 1, 4096)    // through the log
	w.store(t, 2, 128<<10) // as tables
	entry := func(s cdp.Seq) vault.IndexEntry {
		return vault.IndexEntry{Block: cdp.Block(s), Entry: history.Entry{Seq: s, Mask: cdp.FullMask, Place: history.Place{Frame: 4}}}
	}
	if err := w.g.AddIndex(w.last.No, []vault.IndexEntry{entry(1), entry(before.Last() + 1)}); err != nil {
		t.Fatal(err)
	}
	copied := killed(t, dir)
	loseLog(t, filepath.Join(copied, "g"), filepath.Join(whole, "g"))
	db2 := mustOpen(t, copied)
	defer db2.Close()
	g := mustGroup(t, db2, "g")
	l, err := g.Load()
	if err != nil || l.Newest.No != before.No || l.Indexed != before.No {
		t.Fatalf("newest %+v, indexed %d, %v", l.Newest, l.Indexed, err)
	}
	if got, err := db2.Losses("g"); err != nil || len(got) != 1 || got[0].From != 4 || got[0].To != 6 {
		t.Fatalf("%+v, %v", got, err)
	}
	r, err := g.Reader()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for b, want := range map[cdp.Block]int{1: 1, cdp.Block(before.Last() + 1): 0} {
		n := 0
		if err := r.Entries(0, b, ^cdp.Seq(0), func(history.Entry) bool { n++; return true }); err != nil || n != want {
			t.Errorf("block %d has %d entries, %v", b, n, err)
		}
	}
	w.g, w.last = g, before
	w.store(t, 2, 128<<10)
	if err := w.readAll(); err != nil {
		t.Error(err)
	}
}

// The last record of the manifest is damaged after kill -9, and its copy is gone. It was
// durable: the store is refused as it is, and no table is deleted.
func TestADamagedEndOfTheManifestIsRefused(t *testing.T) {
	dir := t.TempDir()
	db := mustOpen(t, dir)
	defer db.Close()
	w := &writer{g: mustGroup(t, db, "g")}
	w.store(t, 2, 128<<10) // as tables
	copied := killed(t, dir)
	names, err := filepath.Glob(filepath.Join(copied, "g", "MANIFEST-*"))
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	raw, err := os.ReadFile(slices.Max(names))
	if err != nil {
		t.Fatal(err)
	}
	raw[len(raw)-3] ^= 0x10
	if err := errors.Join(os.WriteFile(slices.Max(names), raw, 0o600), os.Remove(filepath.Join(copied, "g", copyName))); err != nil {
		t.Fatal(err)
	}
	tables := func() int {
		names, _ := filepath.Glob(filepath.Join(copied, "g", "*.sst"))
		return len(names)
	}
	before := tables()
	db2 := mustOpen(t, copied)
	defer db2.Close()
	if _, err := db2.Group("g", oneDisk); !cdp.Is(err, cdp.Corrupt) {
		t.Errorf("a damaged manifest gives %v", err)
	}
	if n := tables(); before == 0 || n != before {
		t.Errorf("%d tables of %d are left", n, before)
	}
}
