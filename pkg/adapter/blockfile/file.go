package blockfile

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"tidemark.dev/pkg/adapter/localpath"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/block"
)

var _ block.StatusDevice = (*File)(nil)

// File is an open image or block device. It allows concurrent calls.
type File struct {
	f    *os.File
	fd   int
	size int64
	dev  bool     // a block device
	lock *os.File // of a device that is opened alone; nil: none
	own  ownWrites

	// The file system refused it once, and will refuse it again.
	noPunch, noZeroRange atomic.Bool

	sync func() error // makes what was written durable

	flush sync.Mutex // held by the one flush at a time; taken before mu
	// mu is held while the file is changed.
	mu       sync.Mutex
	written  unsynced            // since the last flush began
	flushing unsynced            // before: a flush of it is running, or has failed
	spare    []*regionSums       // that hold nothing any more, to be used again
	block    [cdp.BlockSize]byte // read again to be noted
	failed   error               // why the last flush failed
}

// Open opens the image or block device at path, an absolute path that is free of symbolic
// links: a link that is there by now is refused. The caller closes the file once nobody
// uses it any more.
func Open(path string, readOnly bool) (*File, error) {
	mode := os.O_RDWR
	if readOnly {
		mode = os.O_RDONLY
	}
	f, err := localpath.Open(path, mode, 0)
	if err != nil {
		return nil, openError(path, err)
	}
	d, err := measure(f)
	if err != nil {
		f.Close()
		return nil, openError(path, err)
	}
	return d, nil
}

// openError is why path could not be opened.
func openError(path string, err error) error {
	kind := cdp.Transient
	var e *fs.PathError
	if errors.As(err, &e) {
		err = e.Err // the path is the subject
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		kind = cdp.NotFound
	case errors.Is(err, errNoDisk), errors.Is(err, localpath.ErrLink):
		kind = cdp.Invalid
	}
	return &cdp.Error{Op: "open disk", Kind: kind, Subject: path, Cause: err}
}

var errNoDisk = errors.New("it is neither a file nor a block device")

// measure makes a File of f, which it owns unless it fails.
func measure(f *os.File) (*File, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	dev := st.Mode()&(os.ModeDevice|os.ModeCharDevice) == os.ModeDevice
	if !dev && !st.Mode().IsRegular() {
		return nil, errNoDisk
	}
	size, err := f.Seek(0, io.SeekEnd) // of a block device, too
	if err != nil {
		return nil, err
	}
	d := &File{f: f, fd: int(f.Fd()), size: size, dev: dev, written: unsynced{}, flushing: unsynced{}}
	d.sync = d.datasync
	return d, nil
}

// Close closes the file without flushing it.
func (d *File) Close() error {
	err := d.f.Close()
	if d.lock != nil {
		err = errors.Join(err, d.lock.Close())
	}
	return err
}

// Size is the length the file had when it was opened or extended, in bytes.
func (d *File) Size() int64 { return d.size }

// Extend makes a file longer. A device must be as long already: Transient. Nobody may
// use it meanwhile.
func (d *File) Extend(size int64) error {
	const op = "extend disk"
	if d.dev {
		now, err := d.f.Seek(0, io.SeekEnd)
		if err != nil {
			return &cdp.Error{Op: op, Kind: cdp.Transient, Cause: err}
		}
		if now < size {
			return cdp.Errorf(cdp.Transient, op, "", "the device has %d bytes, and %d are needed", now, size).
				WithHint("enlarge the device: it is tried again by itself")
		}
		d.size = now
		return nil
	}
	if err := d.f.Truncate(size); err != nil {
		kind := cdp.Transient
		if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EFBIG) {
			kind = cdp.Full
		}
		return &cdp.Error{Op: op, Kind: kind, Cause: err}
	}
	d.size = size
	return nil
}

// ReadAt implements block.Device.
func (d *File) ReadAt(p []byte, off int64) error {
	_, err := d.f.ReadAt(p, off)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF // the file shrank
	}
	return err
}

// WriteAt implements block.Device. Now and then it flushes.
func (d *File) WriteAt(p []byte, off int64, _ bool) error {
	if len(p) == 0 {
		return nil
	}
	many, err := d.writeAt(p, off)
	if err == nil && many {
		err = d.Flush()
	}
	return err
}

// writeAt reports whether much has not been flushed yet.
func (d *File) writeAt(p []byte, off int64) (many bool, err error) {
	defer d.own.begin()()
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err = d.f.WriteAt(p, off); err != nil { // some of it may be there
		return false, errors.Join(err, d.changed(off, int64(len(p)), nil))
	}
	return len(d.written) > mostUnsynced, d.changed(off, int64(len(p)), p)
}

// Flush implements block.Device with fdatasync. The kernel reports what it could not
// write only once, and forgets it. So after a failure everything since the last success
// is written again first; a block that the kernel has dropped meanwhile fails every
// Flush until it is written.
func (d *File) Flush() error {
	d.flush.Lock()
	defer d.flush.Unlock()
	if d.failed != nil {
		if err := d.again(); err != nil {
			return err
		}
	}
	d.mu.Lock()
	d.written.merge(d.flushing)
	d.flushing, d.written = d.written, d.flushing
	d.mu.Unlock()
	err := d.sync()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failed = err; err == nil {
		d.flushed()
	}
	return err
}

func (d *File) datasync() error {
	for {
		if err := unix.Fdatasync(d.fd); err != unix.EINTR {
			return err
		}
	}
}

// Trim implements block.Device by punching a hole, where that can be done.
func (d *File) Trim(off, n int64, _ bool) error {
	err := d.fallocate(&d.noPunch, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, off, n)
	if err == unix.EOPNOTSUPP {
		return nil // only a hint
	}
	return err
}

// Zero implements block.Device: a hole if one is welcome, else allocated zeroes,
// else written ones.
func (d *File) Zero(off, n int64, flags block.ZeroFlags) error {
	err := error(unix.EOPNOTSUPP)
	if flags&block.ZeroNoHole == 0 {
		err = d.fallocate(&d.noPunch, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, off, n)
	}
	// On a device the kernel may write the zeroes itself, which is not fast.
	if err == unix.EOPNOTSUPP && !(d.dev && flags&block.ZeroFast != 0) {
		err = d.fallocate(&d.noZeroRange, unix.FALLOC_FL_ZERO_RANGE|unix.FALLOC_FL_KEEP_SIZE, off, n)
	}
	if err != unix.EOPNOTSUPP || flags&block.ZeroFast != 0 {
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
	defer d.own.begin()()
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		switch err := unix.Fallocate(d.fd, mode, off, n); err {
		case nil:
			return d.freed(off, n)
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

// Status implements block.StatusDevice with SEEK_DATA and SEEK_HOLE. Preallocated
// space that was never written counts as a hole, as the kernel has it.
func (d *File) Status(off, n int64) []block.Extent {
	var out []block.Extent
	for at := off; at < off+n && len(out) < fileExtents; {
		data, err := unix.Seek(d.fd, at, unix.SEEK_DATA)
		switch {
		case err == unix.ENXIO: // nothing but a hole from here
			return append(out, block.Extent{Length: off + n - at, Hole: true, Zero: true})
		case err != nil:
			return append(out, block.Extent{Length: off + n - at})
		case data > at:
			out = append(out, block.Extent{Length: data - at, Hole: true, Zero: true})
		}
		hole, err := unix.Seek(d.fd, data, unix.SEEK_HOLE)
		if err != nil || hole <= data {
			return append(out, block.Extent{Length: max(off+n-data, 1)})
		}
		out = append(out, block.Extent{Length: hole - data})
		at = hole
	}
	return out
}
