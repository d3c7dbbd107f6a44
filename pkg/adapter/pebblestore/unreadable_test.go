package pebblestore

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/history"
	"tidemark.dev/pkg/engine/vault"
)

// A frame after base is damaged. History ends before it: what was after it is noted as
// lost, its index is gone, and other frames get its numbers. Where the damaged frame is
// the oldest that is stored, the journal ends where the replica is.
func TestHistoryEndsBeforeAnUnreadableFrame(t *testing.T) {
	for name, base := range map[string]cdp.FrameNo{"in the middle": 1, "the oldest": 4} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			db := mustOpen(t, dir)
			w := &writer{g: mustGroup(t, db, "g")}
			var last [9]cdp.Seq // of each frame
			for no := range last[1:] {
				w.store(t, 1, 128<<10) // as a table each
				last[no+1] = w.last.Last()
				w.point(t, w.last.No)
			}
			at := last[base]
			entry := func(s cdp.Seq) vault.IndexEntry {
				return vault.IndexEntry{Block: cdp.Block(s), Entry: history.Entry{Seq: s, Mask: cdp.FullMask, Place: history.Place{Frame: 1}}}
			}
			if err := w.g.AddIndex(8, []vault.IndexEntry{entry(at), entry(last[8])}); err != nil {
				t.Fatal(err)
			}
			u := w.g.Begin()
			u.SetState(vault.State{Horizon: at, Base: at, Moving: at})
			u.DropFrames(base + 1)
			if err := u.Commit(); err != nil {
				t.Fatal(err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			flipContent(t, filepath.Join(dir, "g"), content(5, 64<<10))

			db = mustOpen(t, dir)
			w.g = mustGroup(t, db, "g")
			if err := w.readAll(); !cdp.Is(err, cdp.Corrupt) {
				t.Fatalf("a damaged frame reads: %v", err)
			}
			if err := w.g.EndBefore(5, cdp.Errorf(cdp.Corrupt, "read", "", "damaged")); err != nil {
				t.Fatal(err)
			}
			l, err := w.g.Load()
			if err != nil || l.Newest == nil || l.Newest.No != 4 || l.Newest.Last() != last[4] || l.Indexed > 4 {
				t.Fatalf("%+v, newest %+v, %v", l, l.Newest, err)
			}
			lost, err := db.Losses("g")
			if err != nil || len(lost) != 1 || lost[0].From != 5 || lost[0].To != 8 || len(lost[0].Points) != 4 {
				t.Fatalf("%v, %v", lost, err)
			}
			r, err := w.g.Reader()
			if err != nil {
				t.Fatal(err)
			}
			for b, want := range map[cdp.Seq]int{at: 1, last[8]: 0} {
				n := 0
				if err := r.Entries(0, cdp.Block(b), ^cdp.Seq(0), func(history.Entry) bool { n++; return true }); err != nil || n != want {
					t.Errorf("block %d has %d entries, %v", b, n, err)
				}
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			w.last = *l.Newest
			w.store(t, 2, 128<<10)
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			db = mustOpen(t, dir)
			defer db.Close()
			if l, err := mustGroup(t, db, "g").Load(); err != nil || l.Newest.No != 6 || db.Damage("g") != nil {
				t.Errorf("after it: newest %+v, %v, %v", l.Newest, err, db.Damage("g"))
			}
		})
	}
}

// flipContent flips a bit of what a table of a store holds.
func flipContent(t *testing.T, dir string, p []byte) {
	t.Helper()
	name, raw, at := find(t, dir, p)
	raw[at+len(p)/2] ^= 1
	if err := os.WriteFile(name, raw, 0o600); err != nil {
		t.Fatal(err)
	}
}

// find is the table of a store that holds p, with its content and where in it p is.
func find(t *testing.T, dir string, p []byte) (name string, raw []byte, at int) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if raw, err = os.ReadFile(name); err != nil {
			t.Fatal(err)
		}
		if at := bytes.Index(raw, p); at >= 0 {
			return name, raw, at
		}
	}
	t.Fatal("no table holds it")
	return "", nil, 0
}
