package pebblestore

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tidemark.dev/pkg/cdp"
)

// tight is a file system of 1 GiB with as many bytes free as the test says. Tables
// leave 64 MiB of them to the logs.
type tight struct {
	vfs.FS
	free atomic.Uint64
}

func (t *tight) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: t.free.Load(), TotalBytes: 1 << 30}, nil
}

// On a tight disk only compactions wait, and the store works without them: it does not
// say that it waits.
func TestOnATightDiskOnlyCompactionsWait(t *testing.T) {
	fs := &tight{FS: vfs.NewMem()}
	fs.free.Store(48 << 20)
	d := newDisk(fs, "/", 64<<20)
	d.wait()
	defer d.hurry()
	create := func(name string, c vfs.DiskWriteCategory) <-chan error {
		done := make(chan error, 1)
		go func() {
			f, err := d.Create(name, c)
			if err == nil {
				err = f.Close()
			}
			done <- err
		}()
		return done
	}
	compaction := create("1.sst", "pebble-compaction")
	for _, done := range []<-chan error{create("2.sst", flushing), create("3.log", "pebble-wal")} {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	if err := d.waits(); err != nil {
		t.Errorf("with room for all but compactions it waits: %v", err)
	}
	fs.free.Store(16 << 20)
	flush := create("4.sst", flushing)
	until(t, func() bool { return d.waits() != nil })
	if err := <-create("5.log", "pebble-wal"); err != nil {
		t.Fatal(err)
	}
	fs.free.Store(64 << 20)
	for _, done := range []<-chan error{flush, compaction} {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	if err := d.waits(); err != nil {
		t.Errorf("with room it waits: %v", err)
	}
}

// A store gives up history, and with it space, on a disk that has no room for new tables.
func TestDroppedHistoryFreesSpaceOnATightDisk(t *testing.T) {
	fs := &tight{FS: vfs.Default}
	fs.free.Store(1 << 30)
	db, err := Open(t.TempDir(), Options{FS: fs, BulkBytes: 64 << 10, MemTableBytes: 256 << 10})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	w := &writer{g: mustGroup(t, db, "g")}
	w.store(t, 40, 256<<10)
	before, err := w.g.s.onDisk()
	if err != nil {
		t.Fatal(err)
	}
	fs.free.Store(48 << 20)
	u := w.g.Begin()
	u.DropFrames(31)
	if err := u.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := w.g.Reclaim(context.Background(), 31); err != nil && !cdp.Is(err, cdp.Full) {
		t.Fatal(err)
	}
	until(t, func() bool { n, err := w.g.s.onDisk(); return err == nil && n < before/2 })
	if err := db.Full("g"); err != nil {
		t.Error(err)
	}
	l, err := w.g.Load()
	if err != nil || l.Oldest != 31 || l.Newest.No != 40 {
		t.Errorf("the store has %+v, %v; want frames 31 to 40", l, err)
	}
}
