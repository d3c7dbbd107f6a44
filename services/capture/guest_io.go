package capture

import (
	"errors"

	"golang.org/x/sys/unix"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/block"
)

// guestIO serves the reads and writes of a group's guests. Many goroutines call
// it at once; flight keeps overlapping writes apart.
type guestIO struct {
	*setup
	order  *order
	flight flight
}

func (g *guestIO) read(d cdp.DiskID, p []byte, off int64) error {
	if g.disks[d].dev == nil {
		return unix.EIO // a tap without a reference, or frozen
	}
	return g.disks[d].dev.ReadAt(p, off)
}

// write is a guest's write. Once it returned nil the write is on the disk and
// in a frame that survives kill -9, or its region is dirty.
func (g *guestIO) write(d cdp.DiskID, p []byte, off int64) error {
	if g.job.Mode == cdp.CBT {
		return unix.EROFS // nobody's writes come here
	}
	began := g.deps.Clock.Now()
	row, ok := g.flight.enter(d, off, int64(len(p)))
	if !ok {
		return unix.ESHUTDOWN
	}
	defer g.flight.leave(row)
	if g.job.Mode == cdp.Inline {
		if err := g.disks[d].dev.WriteAt(p, off, false); err != nil {
			g.fault(d, off, int64(len(p)))
			return err
		}
	}
	g.order.record(d, off, int64(len(p)), p)
	g.deps.Timings.Written(g.deps.Clock.Now().Sub(began))
	return nil
}

// zero is a guest's WRITE ZEROES.
func (g *guestIO) zero(d cdp.DiskID, off, n int64, flags block.ZeroFlags) error {
	if g.job.Mode == cdp.CBT {
		return unix.EROFS
	}
	row, ok := g.flight.enter(d, off, n)
	if !ok {
		return unix.ESHUTDOWN
	}
	defer g.flight.leave(row)
	if g.job.Mode == cdp.Inline {
		err := g.disks[d].dev.Zero(off, n, flags)
		if err != nil {
			if !errors.Is(err, unix.EOPNOTSUPP) { // that one changed nothing
				g.fault(d, off, n)
			}
			return err
		}
	}
	g.order.record(d, off, n, nil)
	return nil
}

// trim makes the range read as zeros where that is quick, and else does nothing,
// so that source and replica agree on what it holds.
func (g *guestIO) trim(d cdp.DiskID, off, n int64) error {
	err := g.zero(d, off, n, block.ZeroFast)
	if errors.Is(err, unix.EOPNOTSUPP) {
		return nil
	}
	return err
}

// flush is a guest's FLUSH. Only the disk is concerned.
func (g *guestIO) flush(d cdp.DiskID) error {
	if g.job.Mode != cdp.Inline {
		return nil
	}
	return g.disks[d].dev.Flush()
}

// fault notes that the disk failed a write, and may hold some of it.
func (g *guestIO) fault(d cdp.DiskID, off, n int64) {
	g.order.mu.Lock()
	defer g.order.mu.Unlock()
	g.order.miss(d, off, n)
	g.order.update("a write failed on the disk")
}
