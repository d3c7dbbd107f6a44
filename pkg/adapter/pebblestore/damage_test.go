package pebblestore

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
)

var oneDisk = []cdp.Disk{{Name: "d", Size: 1 << 30}}

// writer stores a chain of frames of its own in a group.
type writer struct {
	g    *Group
	last frame.Header
}

func (w *writer) store(t *testing.T, frames, bytes int) {
	t.Helper()
	for range frames {
		b := frame.NewBuilder(make([]byte, frame.SlotSize))
		for n := 0; n < bytes; n += 4096 {
			b.Append(frame.Record{Offset: int64(n), Length: 4096, Kind: frame.Write}, content(w.last.No+1, n))
		}
		f := b.Seal(frame.Header{Epoch: 1, No: w.last.No + 1, First: max(1, w.last.Last()+1), Prev: w.last.Hash})
		w.last = f.Header
		p, err := w.g.Prepare([]frame.Frame{f})
		if err == nil {
			err = p.Begin()
		}
		if err == nil {
			err = p.Commit()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func content(no cdp.FrameNo, n int) []byte {
	return bytes.Repeat([]byte{byte(no), byte(n >> 12), 7, 9}, 1024)
}

// readAll reads every frame that there should be.
func (w *writer) readAll() error {
	n := cdp.FrameNo(0)
	err := w.g.Frames(1, w.last.No, func(f frame.Table, payload []byte) error {
		n++
		for i := range f.Records {
			r := f.Record(i)
			if !bytes.Equal(payload[r.PayloadOff:r.PayloadOff+r.Length], content(f.No, int(r.Offset))) {
				return cdp.Errorf(cdp.Internal, "compare", "", "frame %d reads back wrong", f.No)
			}
		}
		return nil
	})
	if err == nil && n != w.last.No {
		err = cdp.Errorf(cdp.Internal, "compare", "", "%d frames of %d", n, w.last.No)
	}
	return err
}

func mustOpen(t *testing.T, dir string) *DB {
	t.Helper()
	db, err := Open(dir, Options{BulkBytes: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func mustGroup(t *testing.T, db *DB, id cdp.GroupID) *Group {
	t.Helper()
	g, err := db.Group(id, oneDisk)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// flip changes one bit in the middle of what the newest file of a pattern holds.
func flip(t *testing.T, pattern string) {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		t.Fatalf("%s: %v, %v", pattern, names, err)
	}
	name := names[len(names)-1]
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	raw[len(bytes.TrimRight(raw, "\x00"))/2] ^= 1
	if err := os.WriteFile(name, raw, 0o600); err != nil {
		t.Fatal(err)
	}
}

// One byte of one group's store changed while it was closed. The group is refused
// or its reads fail, with an error that names the file. The other group is whole,
// and the process goes on.
func TestDamageCostsOneGroup(t *testing.T) {
	for name, pattern := range map[string]string{"table": "*.sst", "log": "*.log", "manifest": "MANIFEST-*"} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			db := mustOpen(t, dir)
			hurt, other := &writer{g: mustGroup(t, db, "hurt")}, &writer{g: mustGroup(t, db, "other")}
			for _, w := range []*writer{hurt, other} {
				w.store(t, 2, 128<<10) // as tables
				w.store(t, 8, 32<<10)  // through the log
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			flip(t, filepath.Join(dir, "hurt", pattern))
			if name == "manifest" {
				flip(t, filepath.Join(dir, "hurt", copyName))
			}
			db = mustOpen(t, dir)
			defer db.Close()
			other.g = mustGroup(t, db, "other")
			if err := other.readAll(); err != nil {
				t.Errorf("the other group: %v", err)
			}
			g, err := db.Group("hurt", oneDisk)
			if err == nil {
				hurt.g = g
				if err = hurt.readAll(); err != nil && db.Damage("hurt") == nil {
					t.Error("the damage is not known")
				}
			}
			if !cdp.Is(err, cdp.Corrupt) || !strings.Contains(fmt.Sprint(err), "hurt") && db.Damage("hurt") == nil {
				t.Fatalf("damage in %s gives: %v", pattern, err)
			}
			if err := db.Damage("other"); err != nil {
				t.Error(err)
			}
			if err := db.Drop("hurt"); err != nil {
				t.Errorf("a damaged group cannot be dropped: %v", err)
			}
			other.store(t, 1, 128<<10)
			if err := other.readAll(); err != nil {
				t.Errorf("the other group, later: %v", err)
			}
		})
	}
}

// The file that names the manifest is gone. Pebble would make an empty database of
// it, and delete every table.
func TestAStoreWithoutItsMarkerIsLeftAsItIs(t *testing.T) {
	dir := t.TempDir()
	db := mustOpen(t, dir)
	w := &writer{g: mustGroup(t, db, "g")}
	w.store(t, 3, 256<<10)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	markers, _ := filepath.Glob(filepath.Join(dir, "g", "marker.manifest.*"))
	markers = append(markers, filepath.Join(dir, "g", copyName)) // which would say it, too
	before, _ := filepath.Glob(filepath.Join(dir, "g", "*.sst"))
	for _, m := range markers {
		if err := os.Remove(m); err != nil {
			t.Fatal(err)
		}
	}
	db = mustOpen(t, dir)
	defer db.Close()
	if _, known, err := db.Known("g"); !known || !cdp.Is(err, cdp.Corrupt) {
		t.Fatalf("known: %v, %v", known, err)
	}
	if after, _ := filepath.Glob(filepath.Join(dir, "g", "*.sst")); len(before) == 0 || len(after) != len(before) {
		t.Errorf("%d tables of %d are left", len(after), len(before))
	}
}
