package pebblestore

import (
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/seedtest"
)

var flips = flag.Int("flips", 12, "how many bit flips to try")

// A bit of any file of a stopped store flips. The store is refused, or a read of it
// fails, as damaged, or all of it reads back; the other group is whole.
func TestAFlippedBitIsRefusedOrHarmless(t *testing.T) {
	seed := seedtest.Seed(t)
	dir := t.TempDir()
	db := mustOpen(t, dir)
	hurt, other := &writer{g: mustGroup(t, db, "hurt")}, &writer{g: mustGroup(t, db, "other")}
	for _, w := range []*writer{hurt, other} {
		w.store(t, 2, 128<<10)
		w.store(t, 6, 16<<10)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	refused := 0
	for i := range *flips {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		copied := filepath.Join(t.TempDir(), "store")
		if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		files, err := filepath.Glob(filepath.Join(copied, "hurt", "*"))
		if err != nil || len(files) == 0 {
			t.Fatal(files, err)
		}
		name := files[rng.IntN(len(files))]
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if len(raw) == 0 {
			continue
		}
		at := rng.IntN(len(raw))
		raw[at] ^= 1 << rng.IntN(8)
		if err := os.WriteFile(name, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		db := mustOpen(t, copied)
		hurt.g, err = db.Group("hurt", oneDisk)
		if err == nil {
			err = hurt.readAll()
		}
		if err != nil {
			refused++
			if !cdp.Is(err, cdp.Corrupt) {
				t.Errorf("flip %d (-seed %d): byte %d of %s: %v", i, seed, at, filepath.Base(name), err)
			}
		}
		other.g = mustGroup(t, db, "other")
		if err := other.readAll(); err != nil {
			t.Errorf("flip %d (-seed %d): byte %d of %s hurts the other group: %v", i, seed, at, filepath.Base(name), err)
		}
		if err := db.Close(); err != nil && refused == 0 {
			t.Errorf("flip %d: %v", i, err)
		}
	}
	t.Logf("%d of %d flips were refused", refused, *flips)
}
