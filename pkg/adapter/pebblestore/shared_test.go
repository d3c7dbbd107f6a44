package pebblestore

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"tidemark.dev/pkg/cdp"
)

// An older version kept all groups in one database in the folder itself. Each gets
// a store of its own, with everything it held, and the old files go.
func TestASharedStoreIsSplit(t *testing.T) {
	dir := t.TempDir()
	db := mustOpen(t, dir)
	on := newDisk(vfs.Default, dir, 0)
	o := (&store{d: db}).options(on)
	o.Lock = db.lock
	shared, err := pebble.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	writers := map[cdp.GroupID]*writer{}
	for i, id := range []cdp.GroupID{"a", "b", "c"} {
		gi := groupInfo{ID: id, Num: uint32(i + 1), Disks: oneDisk}
		if err := putInfo(shared, gi); err != nil {
			t.Fatal(err)
		}
		s := &store{d: db}
		s.db = &database{DB: shared, s: s, on: on, opts: o}
		if err := os.MkdirAll(filepath.Join(dir, "tmp"), 0o700); err != nil {
			t.Fatal(err)
		}
		s.id = "tmp" // where its tables are made
		writers[id] = &writer{g: &Group{s: s, num: gi.Num}}
	}
	for range 2 {
		for _, w := range writers {
			w.store(t, 2, 128<<10)
			w.store(t, 4, 16<<10)
		}
		if err := shared.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	for _, w := range writers {
		w.store(t, 2, 16<<10) // in the log only
	}
	if err := shared.Close(); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "tmp")); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second start finds nothing to do
		db = mustOpen(t, dir)
		for id, w := range writers {
			w.g = mustGroup(t, db, id)
			if err := w.readAll(); err != nil {
				t.Errorf("%s: %v", id, err)
			}
			if l, err := w.g.Load(); err != nil || l.Newest == nil || l.Newest.No != w.last.No || l.Oldest != 1 {
				t.Errorf("%s: it holds %d to %+v, %v", id, l.Oldest, l.Newest, err)
			}
		}
		if left, err := db.sharedFiles(); err != nil || len(left) > 0 {
			t.Errorf("left of the shared store: %v, %v", left, err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
