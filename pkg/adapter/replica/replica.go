// Package replica writes and reads the disk images of a group on the target: raw
// files or block devices. It is the vault.Replica of the product. It never decides
// what to write, and never touches an image that holds data of somebody else.
package replica

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"tidemark.dev/pkg/adapter/blockfile"
	"tidemark.dev/pkg/adapter/localpath"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/engine/vault"
)

// Disks are the open images of a group, by disk.
type Disks struct {
	disks []cdp.Disk
	files []*blockfile.File
	paths []string
}

var _ vault.Replica = (*Disks)(nil)

// Open opens the images of the disks. With fresh, the group has no journal yet:
// missing files are created, sparse; an existing file must be empty or all
// holes; a block device must begin with zeros, and is zeroed as a whole. Without
// fresh the images must exist. An image may be longer than its disk, but not
// shorter. One that somebody else uses is refused: Conflict. Paths are absolute and free of
// symbolic links: a link that is there by now is refused.
func Open(disks []cdp.Disk, paths []string, fresh bool) (*Disks, error) {
	d := &Disks{disks: disks, paths: paths}
	for i, disk := range disks {
		f, err := openOne(disk, paths[i], fresh)
		if err != nil {
			d.Close()
			return nil, err
		}
		d.files = append(d.files, f)
	}
	return d, nil
}

func openOne(disk cdp.Disk, path string, fresh bool) (*blockfile.File, error) {
	const op = "open replica"
	st, err := look(path)
	made := false // here: it holds nothing, even where no hole can be told from data
	switch {
	case errors.Is(err, fs.ErrNotExist) && fresh:
		if err := resize(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, disk.Size); err != nil {
			return nil, &cdp.Error{Op: op, Kind: cdp.Transient, Subject: path, Cause: err}
		}
		made = true
	case errors.Is(err, localpath.ErrLink):
		return nil, &cdp.Error{Op: op, Kind: cdp.Invalid, Subject: path, Cause: err}
	case err != nil:
		return nil, &cdp.Error{Op: op, Kind: cdp.NotFound, Subject: path, Cause: err,
			Hint: "the journal needs its replica: put the image back, or delete the job with its journal and apply it again for a new seed"}
	case fresh && st.Mode().IsRegular() && st.Size() == 0:
		if err := resize(path, os.O_WRONLY, disk.Size); err != nil {
			return nil, &cdp.Error{Op: op, Kind: cdp.Transient, Subject: path, Cause: err}
		}
		made = true
	}
	f, err := blockfile.OpenLocked(path)
	if cdp.Is(err, cdp.Conflict) {
		return nil, err
	}
	if err != nil {
		return nil, &cdp.Error{Op: op, Kind: cdp.Transient, Subject: path, Cause: err}
	}
	fail := func(e *cdp.Error) (*blockfile.File, error) {
		f.Close()
		return nil, e
	}
	if f.Size() < disk.Size {
		return fail(cdp.Errorf(cdp.Invalid, op, path, "the image has %d bytes, the disk %s has %d", f.Size(), disk.Name, disk.Size))
	}
	if !fresh {
		return f, nil
	}
	if st != nil && !st.Mode().IsRegular() {
		head := make([]byte, min(disk.Size, cdp.RegionSize))
		if err := f.ReadAt(head, 0); err != nil {
			return fail(&cdp.Error{Op: op, Kind: cdp.Transient, Subject: path, Cause: err})
		}
		for _, b := range head {
			if b != 0 {
				return fail(cdp.Errorf(cdp.Conflict, op, path, "the device holds data").
					WithHint("check that it is the right device, then wipe its beginning: wipefs -a, dd if=/dev/zero bs=1M count=1"))
			}
		}
		if err := f.Zero(0, disk.Size, 0); err != nil {
			return fail(&cdp.Error{Op: op, Kind: cdp.Transient, Subject: path, Cause: err})
		}
		return f, nil
	}
	if !made && !isHole(f, 0, f.Size()) {
		return fail(cdp.Errorf(cdp.Conflict, op, path, "the file holds data, and the job is new").
			WithHint("name another path for the replica, or remove the file"))
	}
	return f, nil
}

// look is what is at path.
func look(path string) (fs.FileInfo, error) {
	f, err := localpath.Open(path, unix.O_PATH, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Stat()
}

// resize gives the file at path, which is made as flag says, a size.
func resize(path string, flag int, size int64) error {
	if flag&os.O_CREATE != 0 {
		dir, err := localpath.Folder(filepath.Dir(path), true)
		if err != nil {
			return err
		}
		dir.Close()
	}
	f, err := localpath.Open(path, flag, 0o600)
	if err != nil {
		return err
	}
	err = f.Truncate(size)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}

func isHole(f *blockfile.File, off, n int64) bool {
	for n > 0 {
		es := f.Status(off, n)
		if len(es) == 0 {
			return false
		}
		for _, e := range es {
			if n <= 0 {
				break // the rest is beyond what was asked
			}
			if !e.Zero {
				return false
			}
			off, n = off+e.Length, n-e.Length
		}
	}
	return true
}

// Size of a disk in bytes.
func (d *Disks) Size(disk cdp.DiskID) int64 { return d.disks[disk].Size }

// clip is how much of n bytes at off lies on the disk.
func (d *Disks) clip(disk cdp.DiskID, off, n int64) int64 {
	return max(0, min(n, d.disks[disk].Size-off))
}

func (d *Disks) wrap(op string, disk cdp.DiskID, err error) error {
	if err == nil {
		return nil
	}
	e := &cdp.Error{Op: op, Kind: cdp.Transient, Subject: d.paths[disk], Cause: err}
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		e.Kind, e.Hint = cdp.Full, "free space on the replica's file system, or enlarge it: it goes on by itself"
	}
	return e
}

// ReadAt fills p; what lies beyond the disk's end reads as zeros.
func (d *Disks) ReadAt(disk cdp.DiskID, p []byte, off int64) error {
	n := d.clip(disk, off, int64(len(p)))
	clear(p[n:])
	if n == 0 {
		return nil
	}
	return d.wrap("read replica", disk, d.files[disk].ReadAt(p[:n], off))
}

// WriteAt writes p; what lies beyond the disk's end is ignored.
func (d *Disks) WriteAt(disk cdp.DiskID, p []byte, off int64) error {
	n := d.clip(disk, off, int64(len(p)))
	if n == 0 {
		return nil
	}
	return d.wrap("write replica", disk, d.files[disk].WriteAt(p[:n], off, false))
}

// Zero makes a range read as zeros and frees its space where it can.
func (d *Disks) Zero(disk cdp.DiskID, off, n int64) error {
	if n = d.clip(disk, off, n); n == 0 {
		return nil
	}
	return d.wrap("zero replica", disk, d.files[disk].Zero(off, n, 0))
}

// IsZero reports whether a range is a hole.
func (d *Disks) IsZero(disk cdp.DiskID, off, n int64) bool {
	n = d.clip(disk, off, n)
	return n == 0 || isHole(d.files[disk], off, n)
}

// Sync returns once everything written is durable.
func (d *Disks) Sync() error {
	for i, f := range d.files {
		if err := f.Flush(); err != nil {
			return d.wrap("sync replica", cdp.DiskID(i), err)
		}
	}
	return nil
}

// Close closes the images.
func (d *Disks) Close() error {
	var first error
	for _, f := range d.files {
		if err := f.Close(); first == nil {
			first = err
		}
	}
	return first
}
