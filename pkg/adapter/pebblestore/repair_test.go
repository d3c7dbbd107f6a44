package pebblestore

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
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
			found, err := Repair(dir, "g", RepairOptions{})
			if err != nil || len(found.Found) == 0 || len(found.Losses) != 1 || found.Kept != "" {
				t.Fatalf("%+v, %v", found, err)
			}
			if after := filesOf(t, store); !maps.Equal(before, after) {
				t.Fatalf("a look changed the store: %v, then %v", before, after)
			}
			done, err := Repair(dir, "g", RepairOptions{Write: true})
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
			if again, err := Repair(dir, "g", RepairOptions{Write: true}); err != nil || len(again.Found) != 0 || again.Kept != "" {
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
			if _, err := Repair(dir, "g", RepairOptions{Write: true}); !cdp.Is(err, cdp.Conflict) {
				t.Errorf("a store that is in use: %v", err)
			}
		})
	}
}

// What a repair cannot mend stays as it is, and the error says what to do.
func TestAStoreThatCannotBeRepairedStaysAsItIs(t *testing.T) {
	dir := t.TempDir()
	storeOfEight(t, dir, false)
	flipManifests(t, filepath.Join(dir, "g"))
	before := filesOf(t, filepath.Join(dir, "g"))
	if _, err := Repair(dir, "g", RepairOptions{Write: true}); !cdp.Is(err, cdp.Corrupt) || cdp.HintOf(err) == "" {
		t.Errorf("a damaged manifest: %v", err)
	}
	if after := filesOf(t, filepath.Join(dir, "g")); !maps.Equal(before, after) {
		t.Errorf("it was %v, and is %v", before, after)
	}
	if names, err := filepath.Glob(filepath.Join(dir, "g.*")); err != nil || len(names) != 0 {
		t.Errorf("%v is left, %v", names, err)
	}
	if _, err := Repair(dir, "other", RepairOptions{Write: true}); !cdp.Is(err, cdp.NotFound) {
		t.Errorf("a job without a journal: %v", err)
	}
}

// What nothing can be mended of begins anew, if that is allowed: no history is offered,
// all points are named as lost, and the numbers go on. A job that has been failed over
// is refused, for its replica may be in use.
func TestAStoreThatCannotBeRepairedBeginsAnew(t *testing.T) {
	anew := RepairOptions{Anew: true, Write: true}
	for name, hurt := range map[string]func(t *testing.T, store string){
		"a damaged manifest with a damaged copy": flipManifests,
		"the manifest's name and copy are gone": func(t *testing.T, store string) {
			names, err := filepath.Glob(filepath.Join(store, "marker.manifest*"))
			if err != nil || len(names) != 1 || os.Remove(names[0]) != nil || os.Remove(filepath.Join(store, copyName)) != nil {
				t.Fatal(names, err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			w, _ := storeOfEight(t, dir, false)
			for range 2 { // the state is in a table, and in the log
				db := mustOpen(t, dir)
				u := mustGroup(t, db, "g").Begin()
				u.PutFloor(0, 7, floorOfTest)
				u.SetState(vault.State{Horizon: 1, Base: w.last.Last(), Moving: w.last.Last(), Summed: true})
				if err := errors.Join(u.Commit(), db.Close()); err != nil {
					t.Fatal(err)
				}
			}
			store := filepath.Join(dir, "g")
			hurt(t, store)
			before := filesOf(t, store)
			if _, err := Repair(dir, "g", RepairOptions{Write: true}); !cdp.Is(err, cdp.Corrupt) || !strings.Contains(cdp.HintOf(err), "--anew") {
				t.Fatalf("it is mended: %v, %s", err, cdp.HintOf(err))
			}
			if found, err := Repair(dir, "g", RepairOptions{Anew: true}); err != nil || !found.Anew || found.Kept != "" || !maps.Equal(before, filesOf(t, store)) {
				t.Fatalf("a look: %+v, %v", found, err)
			}
			done, err := Repair(dir, "g", anew)
			if err != nil || !done.Anew || done.Points != 0 || !maps.Equal(before, filesOf(t, done.Kept)) {
				t.Fatalf("%+v, %v", done, err)
			}
			db := mustOpen(t, dir)
			defer db.Close()
			g := mustGroup(t, db, "g")
			l, err := g.Load()
			if err != nil || l.Newest == nil || l.Newest.No != 7 || l.Newest.Last() != w.last.Last() || !l.State.Straight || l.State.Summed {
				t.Fatalf("%+v, %v", l, err)
			}
			lost, err := db.Losses("g")
			if err != nil || len(lost) != 1 || len(lost[0].Points) != 8 {
				t.Errorf("%v, %v", lost, err)
			}
		})
	}
	dir := t.TempDir()
	storeOfEight(t, dir, false)
	db := mustOpen(t, dir)
	u := mustGroup(t, db, "g").Begin()
	u.SetState(vault.State{Base: 1, Moving: 1, Halted: true, Run: "r1"})
	if err := u.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	flipManifests(t, filepath.Join(dir, "g"))
	if _, err := Repair(dir, "g", anew); !cdp.Is(err, cdp.Conflict) {
		t.Errorf("a job that has been failed over: %v", err)
	}
}

// flipManifests damages the manifest of a store and its copy.
func flipManifests(t *testing.T, store string) {
	t.Helper()
	flip(t, filepath.Join(store, "MANIFEST-*"))
	flip(t, filepath.Join(store, copyName))
}

// floorOfTest is the content of a floor.
var floorOfTest = bytes.Repeat([]byte("floor of a block"), cdp.BlockSize/16)

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
