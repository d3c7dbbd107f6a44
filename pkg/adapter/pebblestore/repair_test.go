package pebblestore

import (
	"maps"
	"os"
	"path/filepath"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/engine/vault"
)

// A store is damaged so that it does not open, or not all of it reads. Its repair says
// what is lost first, and changes nothing; then it keeps what reads back, and the group
// goes on. What was damaged is kept beside it.
func TestARepairKeepsWhatReadsBack(t *testing.T) {
	for name, hurt := range map[string]func(t *testing.T, store string){
		"a table of frames is missing": func(t *testing.T, store string) {
			if err := os.Remove(tableOf(t, store, content(5, 64<<10))); err != nil {
				t.Fatal(err)
			}
		},
		"a table of frames is cut": func(t *testing.T, store string) {
			if err := os.Truncate(tableOf(t, store, content(5, 64<<10)), 50<<10); err != nil {
				t.Fatal(err)
			}
		},
		"a frame is damaged": func(t *testing.T, store string) { flipContent(t, store, content(5, 64<<10)) },
		"a log is damaged":   func(t *testing.T, store string) { flip(t, filepath.Join(store, "*.log")) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			w, tables := storeOfEight(t, dir, name == "a log is damaged")
			store := filepath.Join(dir, "g")
			hurt(t, store)
			before := filesOf(t, store)
			found, err := Repair(dir, "g", false)
			if err != nil || len(found.Found) == 0 || len(found.Losses) != 1 || found.Kept != "" {
				t.Fatalf("%+v, %v", found, err)
			}
			if after := filesOf(t, store); !maps.Equal(before, after) {
				t.Fatalf("a look changed the store: %v, then %v", before, after)
			}
			done, err := Repair(dir, "g", true)
			if err != nil || done.Kept == "" || len(done.Losses) != 1 || done.Losses[0].To != 8 || done.Points != int(done.Losses[0].From)-1 {
				t.Fatalf("%+v, %v", done, err)
			}
			if kept := filesOf(t, done.Kept); !maps.Equal(before, kept) {
				t.Errorf("kept is %v, it was %v", kept, before)
			}
			end := done.Losses[0].From - 1
			if tables && end != 4 {
				t.Errorf("history ends at frame %d", end)
			}
			if again, err := Repair(dir, "g", true); err != nil || len(again.Found) != 0 || again.Kept != "" {
				t.Errorf("a whole store: %+v, %v", again, err)
			}
			db := mustOpen(t, dir)
			defer db.Close()
			w.g = mustGroup(t, db, "g")
			l, err := w.g.Load()
			if err != nil || l.Newest == nil || l.Newest.No != end {
				t.Fatalf("%+v, %v", l, err)
			}
			if lost, err := db.Losses("g"); err != nil || len(lost) != 1 || len(lost[0].Points) != 8-int(end) {
				t.Errorf("%v, %v", lost, err)
			}
			w.last = *l.Newest
			w.store(t, 2, 128<<10)
			if err := w.readAll(); err != nil {
				t.Error(err)
			}
			if _, err := Repair(dir, "g", true); !cdp.Is(err, cdp.Conflict) {
				t.Errorf("a store that is in use: %v", err)
			}
		})
	}
}

// What a repair cannot mend stays as it is, and the error says what to do.
func TestAStoreThatCannotBeRepairedStaysAsItIs(t *testing.T) {
	dir := t.TempDir()
	storeOfEight(t, dir, false)
	flip(t, filepath.Join(dir, "g", "MANIFEST-*"))
	before := filesOf(t, filepath.Join(dir, "g"))
	if _, err := Repair(dir, "g", true); !cdp.Is(err, cdp.Corrupt) || cdp.HintOf(err) == "" {
		t.Errorf("a damaged manifest: %v", err)
	}
	if after := filesOf(t, filepath.Join(dir, "g")); !maps.Equal(before, after) {
		t.Errorf("it was %v, and is %v", before, after)
	}
	if names, err := filepath.Glob(filepath.Join(dir, "g.*")); err != nil || len(names) != 0 {
		t.Errorf("%v is left, %v", names, err)
	}
	if _, err := Repair(dir, "other", true); !cdp.Is(err, cdp.NotFound) {
		t.Errorf("a job without a journal: %v", err)
	}
}

// storeOfEight makes a store of eight frames, each a point and a table of its own or,
// small, in the log. The replica has the first.
func storeOfEight(t *testing.T, dir string, small bool) (w *writer, tables bool) {
	t.Helper()
	db := mustOpen(t, dir)
	w = &writer{g: mustGroup(t, db, "g")}
	size := 128 << 10
	if small {
		size = 32 << 10
	}
	for no := range 8 {
		w.store(t, 1, size)
		w.point(t, w.last.No)
		if no == 0 {
			u := w.g.Begin()
			u.SetState(vault.State{Base: w.last.Last(), Moving: w.last.Last(), Summed: true})
			if err := u.Commit(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return w, !small
}

// tableOf is the table of a store that holds p.
func tableOf(t *testing.T, store string, p []byte) string {
	t.Helper()
	name, _, _ := find(t, store, p)
	return name
}

// filesOf is the files of a folder with their sizes.
func filesOf(t *testing.T, dir string) map[string]int64 {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]int64{}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		out[e.Name()] = info.Size()
	}
	return out
}
