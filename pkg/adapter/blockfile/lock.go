package blockfile

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"tidemark.dev/pkg/cdp"
)

// QEMU says with shared locks on single bytes what it does with an image, and what
// it lets nobody else do.
const (
	qemuWrites         = 101
	qemuSharesNoWrites = 201
)

// OpenLocked is Open for reading and writing, with a lock that lasts until Close or
// the end of the process. It keeps away everybody that looks: those that lock whole
// files, QEMU and its tools, and, from a block device, mounts and its other exclusive
// users. Conflict if somebody else uses the file or device.
func OpenLocked(path string) (*File, error) {
	d, err := Open(path, false)
	if err != nil {
		return nil, err
	}
	if d.dev {
		err = d.lockDevice()
	} else {
		err = d.lockFile()
	}
	if err != nil {
		d.Close()
		return nil, &cdp.Error{Op: "lock disk", Kind: cdp.Conflict, Subject: path, Cause: err, Hint: "only one may write a disk: stop the other user, or give the job another disk"}
	}
	return d, nil
}

var errInUse = errors.New("another process uses it")

// lockFile locks an image. A file system without locks is no reason to refuse it.
func (d *File) lockFile() error {
	if err := unix.Flock(d.fd, unix.LOCK_EX|unix.LOCK_NB); errors.Is(err, unix.EWOULDBLOCK) {
		return errInUse
	}
	for _, at := range []int64{qemuWrites, qemuSharesNoWrites} {
		l := unix.Flock_t{Whence: io.SeekStart, Start: at, Len: 1, Type: unix.F_RDLCK}
		// Before looking, as QEMU does: of two at once none is missed.
		_ = unix.FcntlFlock(uintptr(d.fd), unix.F_OFD_SETLK, &l)
		l.Type = unix.F_WRLCK
		if err := unix.FcntlFlock(uintptr(d.fd), unix.F_OFD_GETLK, &l); err == nil && l.Type != unix.F_UNLCK {
			return errInUse
		}
	}
	return nil
}

// lockDevice opens the device exclusively, beside the descriptor that is used.
func (d *File) lockDevice() error {
	f, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", d.fd), os.O_RDONLY|unix.O_EXCL, 0)
	if errors.Is(err, unix.EBUSY) {
		return errors.New("it is mounted, or another process uses it")
	}
	d.lock = f
	return err
}
