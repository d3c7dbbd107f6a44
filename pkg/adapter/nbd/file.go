package nbd

import (
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

var (
	_ Backend       = (*File)(nil)
	_ StatusBackend = (*File)(nil)
)

// File is a Backend over a raw disk image or a block device. It relies on the
// page cache and allows concurrent calls.
type File struct {
	f    *os.File
	fd   int
	size int64
	dev  bool // a block device

	// The file system said no once; it will say no again.
	noPunch, noZeroRange atomic.Bool

	mu     sync.Mutex
	failed error // first failure of a flush
}

// OpenFile opens the image or device at path. The caller closes it when no
// export uses it any more.
func OpenFile(path string, readOnly bool) (*File, error) {
	mode := os.O_RDWR
	if readOnly {
		mode = os.O_RDONLY
	}
	f, err := os.OpenFile(path, mode, 0)
	if err != nil {
		return nil, &Error{Op: "open disk", Subject: path, Err: err}
	}
	d, err := NewFile(f)
	if err != nil {
		f.Close()
	}
	return d, err
}

// NewFile makes a backend of an open file or block device and owns it from
// then on, unless it fails.
func NewFile(f *os.File) (*File, error) {
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() && st.Mode()&(os.ModeDevice|os.ModeCharDevice) != os.ModeDevice {
		err = errors.New("neither a file nor a block device")
	}
	var size int64
	if err == nil {
		// For a block device this is what BLKGETSIZE64 says.
		size, err = f.Seek(0, io.SeekEnd)
	}
	if err != nil {
		return nil, &Error{Op: "open disk", Subject: f.Name(), Err: err}
	}
	return &File{f: f, fd: int(f.Fd()), size: size, dev: !st.Mode().IsRegular()}, nil
}

// Close closes the file without flushing it.
func (d *File) Close() error { return d.f.Close() }

// Size is the length the file had when it was opened, in bytes.
func (d *File) Size() int64 { return d.size }

// ReadAt implements Backend.
func (d *File) ReadAt(p []byte, off int64) error {
	_, err := d.f.ReadAt(p, off)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF // the file shrank
	}
	return err
}

// WriteAt implements Backend.
func (d *File) WriteAt(p []byte, off int64, _ bool) error {
	_, err := d.f.WriteAt(p, off)
	return err
}

// Flush implements Backend with fdatasync. Once it failed it always fails:
// the kernel reports lost pages only once and forgets them.
func (d *File) Flush() error {
	d.mu.Lock()
	err := d.failed
	d.mu.Unlock()
	if err != nil {
		return err
	}
	for {
		if err = unix.Fdatasync(d.fd); err != unix.EINTR {
			break
		}
	}
	if err != nil {
		d.mu.Lock()
		d.failed = err
		d.mu.Unlock()
	}
	return err
}

// Trim implements Backend by punching a hole, where that can be done.
func (d *File) Trim(off, n int64, _ bool) error {
	err := d.fallocate(&d.noPunch, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, off, n)
	if err == unix.EOPNOTSUPP {
		return nil // only a hint
	}
	return err
}

// Zero implements Backend: a hole if one is welcome, else allocated zeroes,
// else written ones.
func (d *File) Zero(off, n int64, flags ZeroFlags) error {
	err := error(unix.EOPNOTSUPP)
	if flags&ZeroNoHole == 0 {
		err = d.fallocate(&d.noPunch, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, off, n)
	}
	// On a device the kernel may write the zeroes itself, which is not fast.
	if err == unix.EOPNOTSUPP && !(d.dev && flags&ZeroFast != 0) {
		err = d.fallocate(&d.noZeroRange, unix.FALLOC_FL_ZERO_RANGE|unix.FALLOC_FL_KEEP_SIZE, off, n)
	}
	if err != unix.EOPNOTSUPP || flags&ZeroFast != 0 {
		return err
	}
	zeroes := make([]byte, min(n, 256<<10))
	for n > 0 {
		k := min(n, int64(len(zeroes)))
		if err := d.WriteAt(zeroes[:k], off, false); err != nil {
			return err
		}
		off, n = off+k, n-k
	}
	return nil
}

// fallocate returns EOPNOTSUPP, and remembers it in no, if the file cannot do
// this at all; also when it cannot for this range of a device.
func (d *File) fallocate(no *atomic.Bool, mode uint32, off, n int64) error {
	if no.Load() {
		return unix.EOPNOTSUPP
	}
	for {
		switch err := unix.Fallocate(d.fd, mode, off, n); err {
		case unix.EINTR:
		case unix.EOPNOTSUPP, unix.ENOSYS, unix.ENODEV:
			no.Store(true)
			return unix.EOPNOTSUPP
		case unix.EINVAL:
			if d.dev { // below the device's own block size
				return unix.EOPNOTSUPP
			}
			return err
		default:
			return err
		}
	}
}

// fileExtents bounds the lseek calls of one Status.
const fileExtents = 128

// Status implements StatusBackend with SEEK_DATA and SEEK_HOLE. Preallocated
// space that was never written counts as a hole, as the kernel has it.
func (d *File) Status(off, n int64) []Extent {
	var out []Extent
	for at := off; at < off+n && len(out) < fileExtents; {
		data, err := unix.Seek(d.fd, at, unix.SEEK_DATA)
		switch {
		case err == unix.ENXIO: // nothing but a hole from here
			return append(out, Extent{Length: off + n - at, Hole: true, Zero: true})
		case err != nil:
			return append(out, Extent{Length: off + n - at})
		case data > at:
			out = append(out, Extent{Length: data - at, Hole: true, Zero: true})
		}
		hole, err := unix.Seek(d.fd, data, unix.SEEK_HOLE)
		if err != nil || hole <= data {
			return append(out, Extent{Length: max(off+n-data, 1)})
		}
		out = append(out, Extent{Length: hole - data})
		at = hole
	}
	return out
}
