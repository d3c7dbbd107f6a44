package pebblestore

import (
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
)

// disk is the file system as one opening of a database sees it. Pebble ends the
// process when it cannot write a log or a manifest, so it never learns of that. Once
// the database is open, a full disk is waited for. After any other failure the
// database has ended: from then on the disk takes everything and writes nothing, and
// whoever uses the database gets the failure. What was acknowledged is on the disk,
// and the next opening finds it there, as after a crash.
type disk struct {
	vfs.FS
	dir  string
	most uint64 // see room

	mu      sync.Mutex
	patient bool          // a full disk is waited for
	over    chan struct{} // closed when nothing is waited for any more
	isOver  bool          // it is closed
	failure error         // why the database has ended
	waiting int           // writes that wait for room, of what the store cannot do without
	full    error         // what they wait for
}

// flushing is Pebble's category of tables that logs become.
const flushing vfs.DiskWriteCategory = "pebble-memtable-flush"

// share is how much of the room that is kept a file leaves free, in halves. Logs take
// the last byte. Tables that logs become take half of it: a store that gives up history
// frees no space before they are written. All other tables leave it alone.
type share uint64

const (
	ofLog   share = 0
	ofFlush share = 1
	ofTable share = 2
)

func shareOf(name string, c vfs.DiskWriteCategory) share {
	switch {
	case !isTable(name):
		return ofLog
	case c == flushing:
		return ofFlush
	}
	return ofTable
}

func newDisk(fs vfs.FS, dir string, keep uint64) *disk {
	return &disk{FS: fs, dir: dir, most: keep, over: make(chan struct{})}
}

// wait makes the disk wait for room from now on.
func (d *disk) wait() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.patient = true
}

// hurry ends every wait for room: the database is being closed.
func (d *disk) hurry() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.patient = false
	d.wake()
}

func (d *disk) wake() {
	if !d.isOver {
		d.isOver = true
		close(d.over)
	}
}

// end ends the database.
func (d *disk) end(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failure == nil {
		d.failure = err
	}
	d.wake()
}

// ended is why the database has ended, nil if it works.
func (d *disk) ended() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.failure
}

// waits is why writes wait for room, nil if none does. A compaction that waits does not
// count: the store works without it.
func (d *disk) waits() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.waiting == 0 {
		return nil
	}
	return d.full
}

// room is how many bytes are free, and how many of them tables leave to the logs;
// false if that is not known.
func (d *disk) room() (free, keep uint64, ok bool) {
	u, err := d.GetDiskUsage(d.dir)
	return u.AvailBytes, min(d.most, u.TotalBytes/16), err == nil
}

func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// isTable reports whether a file is one that Pebble can fail to write, and write
// again under another name.
func isTable(name string) bool {
	return strings.HasSuffix(name, ".sst") || strings.HasSuffix(name, ".blob")
}

// do makes a change to a file, with retries while the disk is full. It does nothing,
// and succeeds, once the database has ended.
func (d *disk) do(name string, of share, change func() error) error {
	pause := clock.Backoff{Min: 50 * time.Millisecond, Max: 2 * time.Second}
	for {
		if d.ended() != nil {
			return nil
		}
		err := d.roomFor(of)
		if err == nil {
			err = change()
		}
		d.mu.Lock()
		patient := d.patient
		counts := patient && isFull(err) && of != ofTable
		if counts {
			d.waiting++
			d.full = err
		}
		d.mu.Unlock()
		switch {
		case err == nil:
			return nil
		case patient && isFull(err):
			d.pause(pause.Next(), counts)
		case patient && !isTable(name):
			d.end(err)
			return nil
		default:
			return err
		}
	}
}

// roomFor is ENOSPC for tables that would take what they leave free.
func (d *disk) roomFor(of share) error {
	if of == ofLog {
		return nil
	}
	if free, keep, ok := d.room(); ok && free < keep/2*uint64(of) {
		return syscall.ENOSPC
	}
	return nil
}

// pause waits before the next try of a write. It ends what do has counted.
func (d *disk) pause(t time.Duration, counted bool) {
	select {
	case <-clock.After(clock.System, t):
	case <-d.over:
	}
	if counted {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.waiting--
	}
}

// sync is do for what cannot be tried again: after a failed sync nobody knows what
// is on the disk.
func (d *disk) sync(name string, fn func() error) error {
	if d.ended() != nil {
		return nil
	}
	err := fn()
	d.mu.Lock()
	patient := d.patient
	d.mu.Unlock()
	if err != nil && patient && !isTable(name) {
		d.end(err)
		return nil
	}
	return err
}

func (d *disk) open(name string, of share, fn func() (vfs.File, error)) (vfs.File, error) {
	var f vfs.File
	err := d.do(name, of, func() (err error) { f, err = fn(); return err })
	switch {
	case err != nil:
		return nil, err
	case f == nil: // the database has ended
		return sink{}, nil
	}
	return &diskFile{f, d, name, of}, nil
}

func (d *disk) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return d.open(name, shareOf(name, c), func() (vfs.File, error) { return d.FS.Create(name, c) })
}

func (d *disk) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	return d.open(name, shareOf(name, c), func() (vfs.File, error) { return d.FS.OpenReadWrite(name, c, o...) })
}

func (d *disk) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return d.open(to, shareOf(to, c), func() (vfs.File, error) { return d.FS.ReuseForWrite(from, to, c) })
}

func (d *disk) OpenDir(name string) (vfs.File, error) {
	return d.open(name, ofLog, func() (vfs.File, error) { return d.FS.OpenDir(name) })
}

func (d *disk) Link(from, to string) error {
	return d.do(to, shareOf(to, vfs.WriteCategoryUnspecified), func() error { return d.FS.Link(from, to) })
}

func (d *disk) Rename(from, to string) error {
	return d.do(to, shareOf(to, vfs.WriteCategoryUnspecified), func() error { return d.FS.Rename(from, to) })
}

func (d *disk) MkdirAll(dir string, perm os.FileMode) error {
	return d.do(dir, ofLog, func() error { return d.FS.MkdirAll(dir, perm) })
}

// Remove fails as it does: Pebble can leave a file where it is.
func (d *disk) Remove(name string) error {
	if d.ended() != nil {
		return nil
	}
	return d.FS.Remove(name)
}

// RemoveAll is for folders, of which a database has none.
func (d *disk) RemoveAll(name string) error {
	if d.ended() != nil {
		return nil
	}
	return d.FS.RemoveAll(name)
}

// Lock locks nothing: the folder above is locked, and after a failure the database is
// opened anew beside the one that has ended.
func (d *disk) Lock(string) (io.Closer, error) { return sink{}, nil }

// diskFile is a file that is written, or a folder that is synced.
type diskFile struct {
	vfs.File
	d    *disk
	name string
	of   share
}

func (f *diskFile) Write(p []byte) (int, error) {
	done := 0
	if err := f.d.do(f.name, f.of, func() error {
		n, err := f.File.Write(p[done:])
		done += n
		return err
	}); err != nil {
		return done, err
	}
	return len(p), nil
}

func (f *diskFile) WriteAt(p []byte, off int64) (int, error) {
	done := 0
	if err := f.d.do(f.name, f.of, func() error {
		n, err := f.File.WriteAt(p[done:], off+int64(done))
		done += n
		return err
	}); err != nil {
		return done, err
	}
	return len(p), nil
}

func (f *diskFile) Sync() error     { return f.d.sync(f.name, f.File.Sync) }
func (f *diskFile) SyncData() error { return f.d.sync(f.name, f.File.SyncData) }

func (f *diskFile) SyncTo(n int64) (whole bool, err error) {
	err = f.d.sync(f.name, func() (err error) { whole, err = f.File.SyncTo(n); return err })
	return whole, err
}

// sink is a file of a database that has ended.
type sink struct{}

func (sink) Close() error                           { return nil }
func (sink) Read([]byte) (int, error)               { return 0, io.EOF }
func (sink) ReadAt([]byte, int64) (int, error)      { return 0, io.EOF }
func (sink) Write(p []byte) (int, error)            { return len(p), nil }
func (sink) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }
func (sink) Preallocate(int64, int64) error         { return nil }
func (sink) Sync() error                            { return nil }
func (sink) SyncData() error                        { return nil }
func (sink) SyncTo(int64) (bool, error)             { return true, nil }
func (sink) Prefetch(int64, int64) error            { return nil }
func (sink) Fd() uintptr                            { return vfs.InvalidFd }
func (sink) Stat() (vfs.FileInfo, error) {
	return nil, cdp.Errorf(cdp.Transient, "look at file", "", "the database has ended")
}
