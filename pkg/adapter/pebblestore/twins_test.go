package pebblestore

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/engine/vault"
)

// A file with rows that say what the group is, how far it got and which points it has is
// damaged, cut or gone. The store opens by itself with all of it, says that something was
// damaged, and is whole from then on.
func TestDamageToTheStateOfAGroupCostsNothing(t *testing.T) {
	whole := t.TempDir()
	w, _ := storeOfEight(t, whole, false)
	db := mustOpen(t, whole)
	g := mustGroup(t, db, "g")
	u := g.Begin()
	u.SetState(vault.State{Horizon: 1, Base: w.last.Last(), Moving: w.last.Last(), Summed: true})
	if err := errors.Join(g.AddIndex(8, nil), u.Commit(), db.Close()); err != nil {
		t.Fatal(err)
	}
	db = mustOpen(t, whole) // what was in the log is in tables now
	mustGroup(t, db, "g")
	tables := tablesOf(t, db)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for rows, kinds := range map[string]string{"the group": "\x00g", "the state": "\x01s", "the points": "\x01n",
		"a copy of the group": "\x00w", "a copy of the rest": "\x01w"} {
		names := tables[kinds]
		if len(names) == 0 {
			t.Fatalf("no table holds %s: %v", rows, tables)
		}
		for how, hurt := range map[string]func(string) error{
			"a bit":    func(path string) error { return flipAt(path, 20) },
			"a footer": func(path string) error { return flipAt(path, -30) },
			"cut":      func(path string) error { return os.Truncate(path, 100) },
			"gone":     os.Remove,
		} {
			if rows != "the state" && (how == "cut" || how == "a footer") {
				continue // opened in the same way
			}
			t.Run(rows+", "+how, func(t *testing.T) {
				dir := filepath.Join(t.TempDir(), "db")
				if err := os.CopyFS(dir, os.DirFS(whole)); err != nil {
					t.Fatal(err)
				}
				for _, name := range names {
					if err := hurt(filepath.Join(dir, "g", name)); err != nil {
						t.Fatal(err)
					}
				}
				for again := range 2 {
					db := mustOpen(t, dir)
					g := mustGroup(t, db, "g")
					l, err := g.Load()
					if err != nil || l.State.Base != w.last.Last() || l.Indexed != 8 || l.Newest == nil || l.Newest.No != 8 {
						t.Fatalf("%+v, %v", l, err)
					}
					var points []cdp.FrameNo
					if err := g.Points(func(p cdp.Point) error { points = append(points, p.Frame); return nil }); err != nil || len(points) != 8 {
						t.Errorf("points: %v, %v", points, err)
					}
					if lost, err := db.Losses("g"); err != nil || len(lost) != 0 {
						t.Errorf("lost: %v, %v", lost, err)
					}
					if err := db.Damage("g"); cdp.Is(err, cdp.Corrupt) != (again == 0) {
						t.Errorf("start %d: the damage is %v", again, err)
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

// A store of an older version has each row once. From its first start on it has two.
func TestAnOlderStoreGetsTheCopiesOfItsState(t *testing.T) {
	dir := t.TempDir()
	storeOfEight(t, dir, false)
	db := mustOpen(t, dir)
	g := mustGroup(t, db, "g")
	if err := errors.Join(excise(g.s.current(), twinsOf(0).copies()), excise(g.s.current(), twinsOf(1).copies()), db.Close()); err != nil {
		t.Fatal(err)
	}
	db = mustOpen(t, dir)
	defer db.Close()
	g = mustGroup(t, db, "g")
	for _, x := range []twins{twinsOf(0), twinsOf(1)} {
		rows, err := readRows(g.s.current(), x.rows)
		copies, err2 := readRows(g.s.current(), x.copies())
		if err := errors.Join(err, err2); err != nil || len(rows) == 0 || !sameRows(rows, copies) {
			t.Errorf("%d rows, %d copies, %v", len(rows), len(copies), err)
		}
	}
	if err := db.Damage("g"); err != nil {
		t.Errorf("it is said to be damaged: %v", err)
	}
}

// tablesOf is the tables of the open store by the number and kind of their smallest rows.
func tablesOf(t *testing.T, db *DB) map[string][]string {
	t.Helper()
	levels, err := db.store("g").current().SSTables()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]string{}
	for _, tables := range levels {
		for _, x := range tables {
			kinds := string(x.Smallest.UserKey[3:5])
			if kinds == "\x01k" || kinds == "\x01l" { // all in one
				kinds = "\x01n"
			}
			out[kinds] = append(out[kinds], x.BackingSSTNum.String()+".sst")
		}
	}
	for k := range out {
		slices.Sort(out[k])
		out[k] = slices.Compact(out[k])
	}
	return out
}

// flipAt changes a bit of a file at an offset, from its end if that is negative.
func flipAt(path string, at int) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	raw[(at+len(raw))%len(raw)] ^= 0x10
	return os.WriteFile(path, raw, 0o600)
}
