// Package overlay is a scratch layer over a disk that must not change: writes
// go to a sparse file, reads come from there where something was written, and
// from the disk below elsewhere. A test failover runs on it, and a failover in
// production until it is committed.
//
// What was written survives a kill of the process at any instruction, and what
// was flushed survives a power loss. It never writes to the disk below.
package overlay

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/block"
)

// Below is the disk below. Reads may be of whole blocks past its end, where it
// reads as zeros.
type Below interface {
	Size() int64
	ReadAt(p []byte, off int64) error
	// Status is that of block.StatusDevice.
	Status(off, n int64) []block.Extent
}

// File is a file that the scratch is written to. It punches holes where the file
// system can.
type File interface {
	block.StatusDevice
	Close() error
}

// OpenFile opens the file at path for reading and writing.
type OpenFile func(path string) (File, error)

// Disk is one overlaid disk. It is a block.Device.
//
// The files are name.data, as long as the disk, name.map, one bit a 4 KiB block, and
// name.count, the number of writes. A bit is set after its block was written, and only Flush makes either
// durable, data first. The kernel may write a bit back before its data: after a
// power loss an unflushed block can be zeros, as on a disk with torn writes.
//
// Both files are sparse. A write that finds the file system full fails with
// ENOSPC, and what was written before stays readable.
type Disk struct {
	below Below
	data  File
	size  int64
	path  string // of data
	// budget bounds what data takes, with others; nil: the file system does.
	budget *Budget

	flush sync.Mutex // held by the one flush at a time; taken before mu

	mu   sync.RWMutex // held for writing by writes
	here *written
	took *count
}

var _ block.StatusDevice = (*Disk)(nil)

// Open opens or makes the overlay called name in dir.
func Open(dir, name string, below Below, open OpenFile) (*Disk, error) {
	const op = "open scratch"
	fail := func(err error) (*Disk, error) {
		return nil, &cdp.Error{Op: op, Kind: cdp.Transient, Subject: filepath.Join(dir, name), Cause: err}
	}
	d := &Disk{below: below, size: below.Size()}
	path := filepath.Join(dir, name)
	d.path = path + ".data"
	f, err := sized(d.path, d.size)
	if err != nil {
		return fail(err)
	}
	if err := f.Close(); err != nil {
		return fail(err)
	}
	if d.here, err = openWritten(path+".map", (d.size+cdp.BlockSize-1)/cdp.BlockSize); err != nil {
		return fail(err)
	}
	if d.took, err = openCount(path + ".count"); err != nil {
		return fail(errors.Join(err, d.here.close()))
	}
	if d.data, err = open(d.path); err != nil {
		return fail(errors.Join(err, d.here.close(), d.took.f.Close()))
	}
	return d, nil
}

func sized(path string, size int64) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if st, err := f.Stat(); err != nil || st.Size() < size {
		if err == nil {
			err = f.Truncate(size)
		}
		if err != nil {
			f.Close()
			return nil, err
		}
	}
	return f, nil
}

// Close closes the files and keeps them.
func (d *Disk) Close() error { return errors.Join(d.data.Close(), d.here.close(), d.took.f.Close()) }

// Written is how much was written, in bytes of whole blocks.
func (d *Disk) Written() int64 {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.here.bytes()
}

// Writes is how many writes it has taken, those of zeros included.
func (d *Disk) Writes() uint64 {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.took.n
}

// Size is the disk's length in bytes.
func (d *Disk) Size() int64 { return d.size }

// runs calls fn for the runs of blocks of [off, off+n) that are, or are not, in
// the overlay, clipped to the range.
func (d *Disk) runs(off, n int64, fn func(off, n int64, here bool) error) error {
	for end := off + n; off < end; {
		b := off / cdp.BlockSize
		here := d.here.has(b)
		for b = d.here.next(b); b*cdp.BlockSize < end && d.here.has(b) == here; {
			b = d.here.next(b)
		}
		stop := min(b*cdp.BlockSize, end)
		if err := fn(off, stop-off, here); err != nil {
			return err
		}
		off = stop
	}
	return nil
}

// ReadAt fills p.
func (d *Disk) ReadAt(p []byte, off int64) error {
	d.mu.RLock()
	defer d.mu.RUnlock()
	start := off
	return d.runs(off, int64(len(p)), func(off, n int64, here bool) error {
		if q := p[off-start:][:n]; here {
			return d.data.ReadAt(q, off)
		} else {
			return d.below.ReadAt(q, off)
		}
	})
}

// WriteAt stores p. Blocks that it covers in part are first copied from below.
func (d *Disk) WriteAt(p []byte, off int64, fua bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.budget != nil {
		if err := d.budget.take(int64(len(p))); err != nil {
			return err
		}
	}
	if err := d.copyUp(off, int64(len(p))); err != nil {
		return err
	}
	if err := d.data.WriteAt(p, off, fua); err != nil {
		return err
	}
	return d.wrote(off, int64(len(p)))
}

// wrote notes that all blocks of a range were written.
func (d *Disk) wrote(off, n int64) error {
	d.took.add()
	return d.here.set(off/cdp.BlockSize, (off+n-1)/cdp.BlockSize)
}

// copyUp copies the blocks at the edges of a range that it covers in part.
func (d *Disk) copyUp(off, n int64) error {
	first, last := off/cdp.BlockSize, (off+n-1)/cdp.BlockSize
	if off%cdp.BlockSize != 0 {
		if err := d.copyUpBlock(first); err != nil {
			return err
		}
	}
	if (off+n)%cdp.BlockSize != 0 && off+n != d.size {
		return d.copyUpBlock(last)
	}
	return nil
}

func (d *Disk) copyUpBlock(b int64) error {
	if d.here.has(b) {
		return nil
	}
	var content [cdp.BlockSize]byte
	at := b * cdp.BlockSize
	p := content[:min(cdp.BlockSize, d.size-at)]
	if err := d.below.ReadAt(p, at); err != nil {
		return err
	}
	if err := d.data.WriteAt(p, at, false); err != nil {
		return err
	}
	return d.here.set(b, b)
}

// Zero makes a range read as zeros.
func (d *Disk) Zero(off, n int64, flags block.ZeroFlags) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.copyUp(off, n); err != nil {
		return err
	}
	if err := d.data.Zero(off, n, flags); err != nil {
		return err
	}
	return d.wrote(off, n)
}

// Trim makes a range read as zeros, too.
func (d *Disk) Trim(off, n int64, fua bool) error { return d.Zero(off, n, 0) }

// Flush makes what was written durable.
func (d *Disk) Flush() error {
	d.flush.Lock()
	defer d.flush.Unlock()
	if err := d.data.Flush(); err != nil {
		return err
	}
	d.mu.Lock()
	pages, err := d.here.beginSync()
	d.mu.Unlock()
	if err != nil {
		return err
	}
	err = d.here.sync()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.here.endSync(pages, err)
	return err
}

var errEnough = errors.New("enough extents")

// maxExtents bounds one Status, which looks at one layer after the other.
const maxExtents = 1024

// Status describes each run as the layer does that holds it.
func (d *Disk) Status(off, n int64) []block.Extent {
	d.mu.RLock()
	defer d.mu.RUnlock()
	var out []block.Extent
	_ = d.runs(off, n, func(off, n int64, here bool) error {
		of := d.below.Status
		if here {
			of = d.data.Status
		}
		for _, e := range of(off, n) {
			e.Length = min(e.Length, n)
			out = append(out, e)
			if off, n = off+e.Length, n-e.Length; n == 0 {
				break
			}
		}
		if n > 0 || len(out) >= maxExtents { // more is found by the next call
			return errEnough
		}
		return nil
	})
	return out
}

// Each calls fn with the content of every run that was written, at most 1 MiB
// at a time, in order.
func (d *Disk) Each(fn func(p []byte, off int64) error) error {
	buf := make([]byte, cdp.RegionSize)
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.runs(0, d.size, func(off, n int64, here bool) error {
		for here && n > 0 {
			p := buf[:min(n, int64(len(buf)))]
			if err := d.data.ReadAt(p, off); err != nil {
				return err
			}
			if err := fn(p, off); err != nil {
				return err
			}
			off, n = off+int64(len(p)), n-int64(len(p))
		}
		return nil
	})
}

// Remove deletes the files of the overlay called name in dir.
func Remove(dir, name string) error {
	var errs []error
	for _, ext := range []string{".data", ".map", ".count"} {
		if err := os.Remove(filepath.Join(dir, name+ext)); err != nil && !errors.Is(err, syscall.ENOENT) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
