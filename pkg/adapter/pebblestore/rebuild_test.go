package pebblestore

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/history"
	"tidemark.dev/pkg/engine/vault"
)

// A table of floors, of checksums or of the index is damaged in its footer, or is gone. The
// journal opens and goes on. Blocks that have lost their floor are known to have, and no
// other block: none reads as what the replica holds now. Without some checksums the replica
// counts as one of which nobody knows what its blocks held.
func TestDamagedTablesOfFloorsAndChecksumsCloseNoJournal(t *testing.T) {
	whole, w, tables := storeOfAllTables(t)
	for rows, kinds := range map[string]string{"floors": "\x01o", "checksums": "\x01t", "index": "\x01h"} {
		if len(tables[kinds]) == 0 {
			t.Fatalf("no table holds %s: %v", rows, tables)
		}
		for how, hurt := range map[string]func(string) error{
			"a footer": func(path string) error { return flipAt(path, -30) },
			"cut":      func(path string) error { return os.Truncate(path, 100) },
			"gone":     os.Remove,
		} {
			t.Run(rows+", "+how, func(t *testing.T) {
				dir := filepath.Join(t.TempDir(), "db")
				if err := os.CopyFS(dir, os.DirFS(whole)); err != nil {
					t.Fatal(err)
				}
				for _, name := range tables[kinds] {
					if err := hurt(filepath.Join(dir, "g", name)); err != nil {
						t.Fatal(err)
					}
				}
				for again := range 2 {
					db := mustOpen(t, dir)
					g := mustGroup(t, db, "g")
					if _, err := g.Load(); err != nil {
						t.Fatal(err)
					}
					if _, err := g.DropDamaged(); err != nil {
						t.Fatal(err)
					}
					l, err := g.Load()
					if err != nil || l.Newest.No != 8 || l.State.Horizon != 32 || l.State.Summed != (rows != "checksums") || l.Indexed != 8 && rows != "index" {
						t.Fatalf("%+v, %v", l, err)
					}
					if err := db.Damage("g"); cdp.Is(err, cdp.Corrupt) != (again == 0) {
						t.Errorf("start %d: the damage is %v", again, err)
					}
					readsFloors(t, g, rows != "floors")
					if again, err := g.DropDamaged(); again || err != nil {
						t.Errorf("it is damaged still: %v", err)
					}
					w.g = g
					if err := errors.Join(w.readAll(), db.Close()); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
}

// storeOfAllTables makes a store with tables of each kind. Of the blocks 0 to 31 all but
// the last were written before base, and have floors.
func storeOfAllTables(t *testing.T) (whole string, w *writer, tables map[string][]string) {
	t.Helper()
	whole = t.TempDir()
	w, _ = storeOfEight(t, whole, false) // blocks 0 to 31, each written eight times
	db := mustOpen(t, whole)
	g := mustGroup(t, db, "g")
	u := g.Begin()
	u.SetState(vault.State{Horizon: 32, Base: w.last.Last() - 32, Moving: w.last.Last() - 32, Summed: true})
	for b := range cdp.Block(31) { // the block 31 was not written before base
		u.PutFloor(0, b, floorOfTest)
	}
	u.PutSum(0, 1, 7)
	var entries []vault.IndexEntry
	for b := range cdp.Block(31) {
		entries = append(entries, vault.IndexEntry{Block: b, Entry: history.Entry{Seq: 33 + cdp.Seq(b), Mask: cdp.FullMask, Place: history.Place{Frame: 2}}})
	}
	entries = append(entries, vault.IndexEntry{Block: 31, Entry: history.Entry{Seq: w.last.Last(), Mask: cdp.FullMask, Place: history.Place{Frame: 8}}})
	if err := errors.Join(u.Commit(), g.AddIndex(8, entries), db.Close()); err != nil {
		t.Fatal(err)
	}
	db = mustOpen(t, whole) // what was in the log is in tables now
	mustGroup(t, db, "g")
	tables = tablesOf(t, db)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return whole, w, tables
}

// readsFloors reads the floors of the blocks 0 to 30, whole or damaged, and any checksums.
func readsFloors(t *testing.T, g *Group, whole bool) {
	t.Helper()
	r, err := g.Reader()
	if err != nil {
		t.Fatal(err)
	}
	has := make([]bool, 64)
	if err := r.Floors(0, 0, has); err != nil || slices.Index(has, false) != 31 || slices.Contains(has[31:], true) {
		t.Errorf("floors: %v, %v", has, err)
	}
	for b := range cdp.Block(31) {
		p := make([]byte, cdp.BlockSize)
		if err := r.Floor(0, b, p); cdp.Is(err, cdp.Corrupt) == whole || err == nil && string(p) != string(floorOfTest) {
			t.Fatalf("the floor of block %d: %v", b, err)
		}
	}
	var sums vault.RegionSums
	if _, _, err := r.Sums(0, 0, &sums); err != nil {
		t.Error(err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}
