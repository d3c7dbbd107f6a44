package blockfile

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// A writer that takes no lock, such as dd, is seen only by the times of the file, and
// only while we do not write it too. Block devices have no such times, and those of a
// network file system come late: nothing is seen there.

// ownWrites counts what this File changes, and knows how the file was when it was last
// looked at.
type ownWrites struct {
	begun, ended atomic.Int64

	mu   sync.Mutex
	seen struct {
		ended   int64
		written time.Time
		ok      bool // nothing was on its way then
	}
}

// begin notes a change that begins; call end when it is over.
func (w *ownWrites) begin() (end func()) {
	w.begun.Add(1)
	return func() { w.ended.Add(1) }
}

// Stamp says which file it is and when it was last written. file is "" where nothing
// tells: then the time means nothing either.
func (d *File) Stamp() (file string, written time.Time) {
	var st unix.Statx_t
	if d.dev || !d.timely() {
		return "", time.Time{}
	}
	if err := unix.Statx(d.fd, "", unix.AT_EMPTY_PATH, unix.STATX_INO|unix.STATX_MTIME|unix.STATX_BTIME, &st); err != nil {
		return "", time.Time{}
	}
	// Not the device: its number may change with the next boot.
	return fmt.Sprintf("%d made %d.%09d", st.Ino, st.Btime.Sec, st.Btime.Nsec), time.Unix(st.Mtime.Sec, int64(st.Mtime.Nsec))
}

// timely reports whether the file system is known to give a file the time of a write
// at once.
func (d *File) timely() bool {
	var fs unix.Statfs_t
	if err := unix.Fstatfs(d.fd, &fs); err != nil {
		return false
	}
	switch int64(fs.Type) {
	case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.TMPFS_MAGIC, unix.OVERLAYFS_SUPER_MAGIC:
		return true
	}
	return false
}

// WrittenByOthers reports whether somebody else has written the file since the last
// call, as far as that shows.
func (d *File) WrittenByOthers() bool {
	w := &d.own
	w.mu.Lock()
	defer w.mu.Unlock()
	was := w.seen
	ended := w.ended.Load()
	quiet := w.begun.Load() == ended
	file, written := d.Stamp()
	w.seen.ended, w.seen.written, w.seen.ok = ended, written, quiet && file != "" && w.begun.Load() == ended
	return was.ok && w.seen.ok && was.ended == ended && !was.written.Equal(written)
}

// Replaced reports whether the path means another file by now, or none.
func (d *File) Replaced() bool {
	own, err := d.f.Stat()
	if err != nil {
		return false
	}
	now, err := os.Stat(d.f.Name())
	return os.IsNotExist(err) || err == nil && !os.SameFile(own, now)
}
