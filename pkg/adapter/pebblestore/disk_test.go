package pebblestore

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sys/unix"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
)

// faulty is a file system on which writes and syncs of some files of the group "hurt"
// fail while there is a fault.
type faulty struct {
	vfs.FS
	fault atomic.Pointer[fault]
}

type fault struct {
	files string // part of the name
	op    string // write or sync
	err   error
	hits  atomic.Int32
}

func (f *faulty) hit(name, op string) error {
	x := f.fault.Load()
	if x == nil || x.op != op || !strings.Contains(name, "/hurt/") || !strings.Contains(filepath.Base(name), x.files) {
		return nil
	}
	x.hits.Add(1)
	return x.err
}

func (f *faulty) wrap(name string, file vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &faultyFile{file, f, name}, nil
}

func (f *faulty) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if err := f.hit(name, "write"); err != nil {
		return nil, err
	}
	file, err := f.FS.Create(name, c)
	return f.wrap(name, file, err)
}

func (f *faulty) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.ReuseForWrite(from, to, c)
	return f.wrap(to, file, err)
}

type faultyFile struct {
	vfs.File
	f    *faulty
	name string
}

// Write writes half of it when it fails.
func (f *faultyFile) Write(p []byte) (int, error) {
	if err := f.f.hit(f.name, "write"); err != nil {
		n, _ := f.File.Write(p[:len(p)/2])
		return n, err
	}
	return f.File.Write(p)
}

func (f *faultyFile) SyncData() error {
	if err := f.f.hit(f.name, "sync"); err != nil {
		return err
	}
	return f.File.SyncData()
}

func (f *faultyFile) Sync() error {
	if err := f.f.hit(f.name, "sync"); err != nil {
		return err
	}
	return f.File.Sync()
}

// try stores a frame; what fails is not counted.
func (w *writer) try(bytes int) error {
	b := frame.NewBuilder(make([]byte, frame.SlotSize))
	for n := 0; n < bytes; n += 4096 {
		b.Append(frame.Record{Offset: int64(n), Length: 4096, Kind: frame.Write}, content(w.last.No+1, n))
	}
	f := b.Seal(frame.Header{Epoch: 1, No: w.last.No + 1, First: max(1, w.last.Last()+1), Prev: w.last.Hash})
	p, err := w.g.Prepare([]frame.Frame{f})
	if err == nil {
		err = p.Begin()
	}
	if err == nil {
		err = p.Commit()
	}
	if err == nil {
		w.last = f.Header
	}
	return err
}

// reload goes on after an error as the journal does. What was not acknowledged may be
// there anyway.
func (w *writer) reload(t *testing.T) {
	t.Helper()
	l, err := w.g.Load()
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case l.Newest == nil || l.Newest.No < w.last.No:
		t.Fatalf("acknowledged up to frame %d; the store has %+v", w.last.No, l.Newest)
	case l.Newest.No > w.last.No:
		w.last = *l.Newest
	}
}

// Whatever file of a group cannot be written, and at which call, the process goes on,
// the other group notices nothing, and the group itself works again, with all that was
// acknowledged, once it is loaded anew.
func TestADiskThatFailsCostsOneGroupUntilItIsLoadedAgain(t *testing.T) {
	for _, x := range []*fault{
		{files: ".log", op: "write", err: syscall.EIO}, {files: ".log", op: "sync", err: syscall.EIO},
		{files: ".log", op: "sync", err: syscall.ENOSPC}, {files: "MANIFEST", op: "write", err: syscall.EIO},
		{files: "MANIFEST", op: "sync", err: syscall.EIO}, {files: ".sst", op: "write", err: syscall.EIO},
	} {
		t.Run(x.files+" "+x.op+" "+x.err.Error(), func(t *testing.T) {
			fs := &faulty{FS: vfs.Default}
			db, err := Open(t.TempDir(), Options{FS: fs, BulkBytes: 64 << 10, MemTableBytes: 256 << 10})
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			hurt, other := &writer{g: mustGroup(t, db, "hurt")}, &writer{g: mustGroup(t, db, "other")}
			hurt.store(t, 3, 32<<10)
			before, err := hurt.g.Reader()
			if err != nil {
				t.Fatal(err)
			}
			fs.fault.Store(x)
			for n := 0; n < 200 && err == nil && x.hits.Load() == 0; n++ {
				err = hurt.try(32 << 10)
				if err == nil && n%4 == 3 {
					err = hurt.try(128 << 10) // as a table: an edit of the manifest
				}
			}
			if err == nil {
				err = hurt.try(32 << 10)
			}
			if x.hits.Load() == 0 {
				t.Fatal("the fault was not met")
			}
			if x.files != ".sst" && err == nil {
				t.Error("a write that the disk refused was acknowledged")
			}
			other.store(t, 8, 32<<10)
			if err := other.readAll(); err != nil {
				t.Error(err)
			}
			fs.fault.Store(nil)
			hurt.reload(t)
			hurt.store(t, 3, 32<<10)
			hurt.store(t, 1, 128<<10)
			if err := hurt.readAll(); err != nil {
				t.Error(err)
			}
			if err := before.Close(); err != nil {
				t.Error(err)
			}
			if n := hurt.g.s.current().users; n != 0 {
				t.Errorf("%d users are left", n)
			}
		})
	}
}

// The disk is full while a write is on its way: the write waits, says so, tries a few
// times a second, and is done once there is room.
func TestAWriteWaitsForRoom(t *testing.T) {
	fs := &faulty{FS: vfs.Default}
	db, err := Open(t.TempDir(), Options{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	hurt, other := &writer{g: mustGroup(t, db, "hurt")}, &writer{g: mustGroup(t, db, "other")}
	hurt.store(t, 2, 32<<10)
	full := &fault{files: ".log", op: "write", err: syscall.ENOSPC}
	fs.fault.Store(full)
	began, done := time.Now(), make(chan error, 1)
	go func() { done <- hurt.try(256 << 10) }()
	until(t, func() bool { return db.Full("hurt") != nil })
	if err := db.Full("hurt"); !cdp.Is(err, cdp.Full) || cdp.HintOf(err) == "" {
		t.Errorf("it waits for: %v", err)
	}
	if err := db.Full("other"); err != nil {
		t.Error(err)
	}
	other.store(t, 1, 32<<10)
	until(t, func() bool { return full.hits.Load() > 2 })
	if took := time.Since(began); took < 150*time.Millisecond {
		t.Errorf("three tries within %s: it does not pause", took)
	}
	fs.fault.Store(nil)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if err := db.Full("hurt"); err != nil {
		t.Error(err)
	}
	if err := hurt.readAll(); err != nil {
		t.Error(err)
	}
}

func until(t *testing.T, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it did not come")
		}
	}
}

// A real file system is filled to the last byte: changes are refused before they are
// begun, so that nothing has to be loaded anew, and are made once there is room.
func TestAFullDiskRefusesAChangeAsAWhole(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("this test mounts a file system: run it as root")
	}
	at := t.TempDir()
	if err := unix.Mount("tmpfs", at, "tmpfs", 0, "size=32m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(at, unix.MNT_DETACH) })
	db, err := Open(filepath.Join(at, "db"), Options{BulkBytes: 64 << 10, MemTableBytes: 256 << 10})
	if err != nil {
		t.Fatal(err)
	}
	w := &writer{g: mustGroup(t, db, "g")}
	w.store(t, 10, 32<<10)
	ballast := filepath.Join(at, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 64<<20), 0o600); !errors.Is(err, unix.ENOSPC) {
		t.Fatal(err)
	}
	for _, n := range []int{4 << 10, 256 << 10} {
		if err := w.try(n); !cdp.Is(err, cdp.Full) {
			t.Errorf("%d bytes on a full disk: %v", n, err)
		}
	}
	u := w.g.Begin()
	u.DropPoint(1)
	if err := u.Commit(); !cdp.Is(err, cdp.Full) {
		t.Errorf("a change on a full disk: %v", err)
	}
	if err := w.readAll(); err != nil {
		t.Error(err)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	w.store(t, 10, 32<<10)
	w.store(t, 2, 256<<10)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db, err = Open(filepath.Join(at, "db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	w.g = mustGroup(t, db, "g")
	if err := w.readAll(); err != nil {
		t.Error(err)
	}
}
