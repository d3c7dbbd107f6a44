package pebblestore

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"tidemark.dev/pkg/cdp"
)

// The manifest of a store, closed or killed, is damaged anywhere, cut or gone, or the file
// that names it is. It is made whole from its copy: the store opens by itself with all that
// it held, says so once, and a look of repair says the same and changes nothing.
func TestADamagedManifestCostsNothing(t *testing.T) {
	closed, killed := t.TempDir(), filepath.Join(t.TempDir(), "db")
	w, _ := storeOfEight(t, closed, false)
	db := mustOpen(t, closed)
	w.g = mustGroup(t, db, "g")
	w.store(t, 4, 128<<10) // further records
	if err := errors.Join(os.CopyFS(killed, os.DirFS(closed)), db.Close()); err != nil {
		t.Fatal(err)
	}
	at := func(n int) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			if err := flipAt(manifestOf(t, dir), n); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, hurt := range map[string]func(t *testing.T, dir string){
		"a bit at the beginning": at(9), "a bit in the middle": at(150), "a bit at the end": at(-3),
		"cut": func(t *testing.T, dir string) {
			if err := os.Truncate(manifestOf(t, dir), 60); err != nil {
				t.Fatal(err)
			}
		},
		"gone": func(t *testing.T, dir string) {
			if err := os.Remove(manifestOf(t, dir)); err != nil {
				t.Fatal(err)
			}
		},
		"its name is gone": func(t *testing.T, dir string) {
			names, err := filepath.Glob(filepath.Join(dir, "marker.manifest*"))
			if err != nil || len(names) != 1 || os.Remove(names[0]) != nil {
				t.Fatal(names, err)
			}
		},
	} {
		for how, whole := range map[string]string{"closed": closed, "killed": killed} {
			t.Run(name+", "+how, func(t *testing.T) {
				dir := filepath.Join(t.TempDir(), "db")
				if err := os.CopyFS(dir, os.DirFS(whole)); err != nil {
					t.Fatal(err)
				}
				hurt(t, filepath.Join(dir, "g"))
				if found, err := Repair(dir, "g", RepairOptions{}); err != nil || len(found.Found) != 1 || len(found.Losses) != 0 || found.Kept != "" {
					t.Errorf("a look: %+v, %v", found, err)
				}
				for again := range 2 {
					db := mustOpen(t, dir)
					w.g = mustGroup(t, db, "g")
					if err := w.readAll(); err != nil {
						t.Error(err)
					}
					if err := db.Damage("g"); cdp.Is(err, cdp.Corrupt) != (again == 0) {
						t.Errorf("start %d: the damage is %v", again, err)
					}
					points := 0
					if err := w.g.Points(func(cdp.Point) error { points++; return nil }); err != nil || points != 8 {
						t.Errorf("%d points, %v", points, err)
					}
					if lost, err := db.Losses("g"); err != nil || len(lost) != 0 {
						t.Errorf("lost: %v, %v", lost, err)
					}
					if err := db.Close(); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
}

// The copy of the manifest says nothing of another manifest, and damage to the copy costs
// nothing.
func TestTheCopyOfAManifestHarmsNothing(t *testing.T) {
	dir := t.TempDir()
	w, _ := storeOfEight(t, dir, false)
	for _, hurt := range []func(path string) error{
		func(path string) error { return flipAt(path, 2) }, // its number
		func(path string) error { return flipAt(path, 40) },
		func(path string) error { return os.Truncate(path, 30) },
		os.Remove,
	} {
		if err := hurt(filepath.Join(dir, "g", copyName)); err != nil {
			t.Fatal(err)
		}
		db := mustOpen(t, dir)
		w.g = mustGroup(t, db, "g")
		if err := errors.Join(w.readAll(), db.Damage("g"), db.Close()); err != nil {
			t.Error(err)
		}
	}
}

// manifestOf is the manifest of a store.
func manifestOf(t *testing.T, store string) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(store, "MANIFEST-*"))
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	return names[len(names)-1]
}
