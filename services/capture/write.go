package capture

import (
	"errors"

	"golang.org/x/sys/unix"

	"tidemark.dev/pkg/cdp"
)

// read serves a guest's read.
func (g *Group) read(d cdp.DiskID, p []byte, off int64) error {
	if g.disks[d].dev == nil {
		return unix.EIO // a tap without a reference, or frozen
	}
	return g.disks[d].dev.ReadAt(p, off)
}

// write is a guest's write. Once it returned nil the write is on the disk and
// in a frame that survives kill -9, or its region is dirty.
func (g *Group) write(d cdp.DiskID, p []byte, off int64) error {
	if g.job.Mode == CBT {
		return unix.EROFS // nobody's writes come here
	}
	row, ok := g.flight.enter(d, off, int64(len(p)))
	if !ok {
		return unix.ESHUTDOWN
	}
	defer g.flight.leave(row)
	if g.job.Mode == Inline {
		if err := g.disks[d].dev.WriteAt(p, off); err != nil {
			g.fault(d, off, int64(len(p)))
			return err
		}
	}
	g.record(d, off, int64(len(p)), p)
	return nil
}

// zero is a guest's WRITE ZEROES.
func (g *Group) zero(d cdp.DiskID, off, n int64, flags ZeroFlags) error {
	if g.job.Mode == CBT {
		return unix.EROFS
	}
	row, ok := g.flight.enter(d, off, n)
	if !ok {
		return unix.ESHUTDOWN
	}
	defer g.flight.leave(row)
	if g.job.Mode == Inline {
		err := g.disks[d].dev.Zero(off, n, flags)
		if err != nil {
			if !errors.Is(err, unix.EOPNOTSUPP) { // that one changed nothing
				g.fault(d, off, n)
			}
			return err
		}
	}
	g.record(d, off, n, nil)
	return nil
}

// trim makes the range read as zeros where that is quick, and else does nothing:
// so that source and replica agree on what it holds.
func (g *Group) trim(d cdp.DiskID, off, n int64) error {
	err := g.zero(d, off, n, Fast)
	if errors.Is(err, unix.EOPNOTSUPP) {
		return nil
	}
	return err
}

// sync is a guest's FLUSH: a matter of the disk alone.
func (g *Group) sync(d cdp.DiskID) error {
	if g.job.Mode != Inline {
		return nil
	}
	return g.disks[d].dev.Sync()
}

// fault: the disk failed a write, and may hold some of it.
func (g *Group) fault(d cdp.DiskID, off, n int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.miss(d, off, n)
	g.settle("a write failed on the disk")
}
