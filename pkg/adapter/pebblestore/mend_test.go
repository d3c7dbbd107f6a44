package pebblestore

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/engine/vault"
)

// Frames share no table with anything else, however a table is made, so that damage to
// frames costs frames.
func TestFramesAreInTablesOfTheirOwn(t *testing.T) {
	dir := t.TempDir()
	storeOfEight(t, dir, true) // from the log
	db := mustOpen(t, dir)
	defer db.Close()
	w := &writer{g: mustGroup(t, db, "g")}
	l, err := w.g.Load()
	if err != nil {
		t.Fatal(err)
	}
	w.last = *l.Newest
	w.store(t, 2, 128<<10)
	for _, made := range []string{"by a flush", "by a compaction"} {
		levels, err := w.g.s.current().SSTables()
		if err != nil {
			t.Fatal(err)
		}
		frames, rest := 0, 0
		for _, tables := range levels {
			for _, x := range tables {
				first, last := w.g.isFrame(x.Smallest.UserKey), w.g.isFrame(x.Largest.UserKey)
				if first != last {
					t.Errorf("%s: a table goes from %x to %x", made, x.Smallest.UserKey, x.Largest.UserKey)
				}
				if first {
					frames++
				} else {
					rest++
				}
			}
		}
		if frames == 0 || rest == 0 {
			t.Fatalf("%s: %d tables of frames, %d others", made, frames, rest)
		}
		if err := w.g.s.current().Compact(t.Context(), []byte{0}, []byte{0xFF}, false); err != nil {
			t.Fatal(err)
		}
	}
}

// A table of frames that the replica has and the index knows is gone. The store opens and
// names it: only points that need these frames cannot be read.
func TestAMissingTableOfOldFramesClosesNoStore(t *testing.T) {
	dir := t.TempDir()
	w, _ := storeOfEight(t, dir, false)
	db := mustOpen(t, dir)
	g := mustGroup(t, db, "g")
	if err := g.AddIndex(8, nil); err != nil {
		t.Fatal(err)
	}
	u := g.Begin()
	u.SetState(vault.State{Base: w.last.Last(), Moving: w.last.Last(), Summed: true})
	if err := u.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(tableOf(t, filepath.Join(dir, "g"), content(5, 64<<10))); err != nil {
		t.Fatal(err)
	}

	db = mustOpen(t, dir)
	defer db.Close()
	g = mustGroup(t, db, "g")
	l, err := g.Load()
	if err != nil || l.Newest.No != 8 || l.State.Base != l.Newest.Last() {
		t.Fatalf("%+v, %v", l, err)
	}
	if err := db.Damage("g"); !cdp.Is(err, cdp.Corrupt) || !strings.Contains(err.Error(), "the frames 5 to 5") {
		t.Errorf("the damage is %v", err)
	}
	points := 0
	if err := g.Points(func(cdp.Point) error { points++; return nil }); err != nil || points != 8 {
		t.Errorf("%d points, %v", points, err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "g.*")); err != nil || len(left) != 0 {
		t.Errorf("%v is left, %v", left, err)
	}
}

// A file that the machine cannot read now is not called damaged.
func TestOnlyWhatIsDamagedOrGoneIsDamage(t *testing.T) {
	for _, why := range []error{syscall.EIO, syscall.EMFILE, syscall.EACCES, syscall.ENOMEM} {
		if isDamage(&os.PathError{Op: "open", Path: "000005.sst", Err: why}) {
			t.Errorf("%v is called damage", why)
		}
	}
	path := filepath.Join(t.TempDir(), "000005.sst")
	if !isDamage(opens(path)) {
		t.Error("a missing table is not called damage")
	}
	if err := os.WriteFile(path, make([]byte, 100), 0o600); err != nil {
		t.Fatal(err)
	}
	if !isDamage(opens(path)) {
		t.Error("a damaged table is not called damage")
	}
}
