package pebblestore

import (
	"runtime"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/engine/vault"
)

// A long seed, and a long life of a journal, drop frames many thousand times
// between two flushes. The tombstones of that must not slow readers down.
func TestDroppedFramesDoNotSlowReaders(t *testing.T) {
	for name, drop := range map[string]func(u vault.Update, f frame.Frame){
		"skipped": func(u vault.Update, f frame.Frame) { u.SkipTo(f) },
		"dropped": func(u vault.Update, f frame.Frame) { u.DropFrames(f.No) },
	} {
		t.Run(name, func(t *testing.T) {
			db, err := Open(t.TempDir(), Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			g, err := db.Group("g", []cdp.Disk{{Name: "d", Size: 1 << 30}})
			if err != nil {
				t.Fatal(err)
			}
			var last frame.Header
			slot := make([]byte, frame.SlotSize)
			for range 2000 {
				b := frame.NewBuilder(slot)
				b.Append(frame.Record{Length: 4096, Kind: frame.Write}, make([]byte, 4096))
				f := b.Seal(frame.Header{Epoch: 1, No: last.No + 1, First: max(1, last.Last()+1), Prev: last.Hash})
				last = f.Header
				u := g.Begin()
				drop(u, f)
				if err := u.Commit(); err != nil {
					t.Fatal(err)
				}
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			r, err := g.Reader()
			if err != nil {
				t.Fatal(err)
			}
			runtime.ReadMemStats(&after)
			if err := r.Close(); err != nil {
				t.Error(err)
			}
			took := after.TotalAlloc - before.TotalAlloc
			t.Logf("a reader takes %d KiB", took>>10)
			if took > 8<<20 {
				t.Errorf("a reader takes %d MiB", took>>20)
			}
			l, err := g.Load()
			if err != nil {
				t.Fatal(err)
			}
			if name == "skipped" && (l.Newest == nil || l.Newest.No != last.No || l.Oldest != last.No) {
				t.Errorf("frames %d to %+v are left, want only %d", l.Oldest, l.Newest, last.No)
			}
		})
	}
}
