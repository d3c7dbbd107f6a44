package pebblestore

import (
	"os"
	"path/filepath"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
)

// A table of frames cannot be linked in. The batch after it, which was begun
// already, does not get into the database either, so that no frame is missing
// between two others. After Load both can be stored again.
func TestNothingGetsInAfterAFailedTable(t *testing.T) {
	dir := t.TempDir()
	db, err := Open(dir, Options{BulkBytes: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	g, err := db.Group("g", []cdp.Disk{{Name: "d", Size: 1 << 30}})
	if err != nil {
		t.Fatal(err)
	}
	var last frame.Header
	next := func(bytes int) frame.Frame {
		b := frame.NewBuilder(make([]byte, frame.SlotSize))
		for n := 0; n < bytes; n += 4096 {
			b.Append(frame.Record{Offset: int64(n), Length: 4096, Kind: frame.Write}, make([]byte, 4096))
		}
		f := b.Seal(frame.Header{Epoch: 1, No: last.No + 1, First: max(1, last.Last()+1), Prev: last.Hash})
		last = f.Header
		return f
	}
	store := func(f frame.Frame) error {
		p, err := g.Prepare([]frame.Frame{f})
		if err != nil {
			return err
		}
		if err := p.Begin(); err != nil {
			return err
		}
		return p.Commit()
	}
	if err := store(next(4096)); err != nil {
		t.Fatal(err)
	}
	big, small := next(256<<10), next(4096)
	table, err := g.Prepare([]frame.Frame{big})
	if err != nil {
		t.Fatal(err)
	}
	if err := table.Begin(); err != nil {
		t.Fatal(err)
	}
	batch, err := g.Prepare([]frame.Frame{small})
	if err != nil {
		t.Fatal(err)
	}
	begun := make(chan error, 1)
	go func() { begun <- batch.Begin() }()
	tables, err := filepath.Glob(filepath.Join(dir, "g", bulkPrefix+"*"))
	if err != nil || len(tables) != 1 {
		t.Fatal(tables, err)
	}
	if err := os.Remove(tables[0]); err != nil {
		t.Fatal(err)
	}
	if err := table.Commit(); err == nil {
		t.Fatal("a table that is not there was linked in")
	}
	if err := <-begun; err == nil {
		t.Fatal("the batch got in after the failed table")
	}
	l, err := g.Load()
	if err != nil || l.Newest.No != 1 {
		t.Fatalf("newest %+v, %v", l.Newest, err)
	}
	for _, f := range []frame.Frame{big, small} {
		if err := store(f); err != nil {
			t.Fatal(err)
		}
	}
	if l, err = g.Load(); err != nil || l.Newest.No != 3 {
		t.Fatalf("newest %+v, %v", l.Newest, err)
	}
}
