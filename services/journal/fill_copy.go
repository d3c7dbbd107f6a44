package journal

import (
	"context"
	"sync"

	"golang.org/x/sync/errgroup"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/engine/vault"
)

// parallelReads is how many regions of a fill are read at once.
const parallelReads = 4

// copy writes disks to images in the same order, durably, except for zeros. Everything is read: a view
// finds zeros only by looking at every block, but it skips the replica's holes.
func (x *filling) copy(ctx context.Context, disks []cdp.Disk, to Replica) error {
	eg, ectx := errgroup.WithContext(ctx)
	eg.SetLimit(parallelReads)
	view := x.view.Sparse()
	bufs := sync.Pool{New: func() any { return new([cdp.RegionSize]byte) }}
	for i, d := range disks {
		for off := int64(0); off < d.Size && ectx.Err() == nil; off += cdp.RegionSize {
			eg.Go(func() error {
				buf := bufs.Get().(*[cdp.RegionSize]byte)
				defer bufs.Put(buf)
				p := buf[:min(cdp.RegionSize, d.Size-off)]
				if err := view.ReadAt(d.ID, p, off); err != nil {
					return err
				}
				x.moved.Add(int64(len(p)))
				return writeNonZero(to, cdp.DiskID(i), p, off) // the images have places of their own
			})
		}
	}
	err := eg.Wait()
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = to.Sync()
	}
	return err
}

// writeNonZero writes the runs of blocks of p that are not zeros.
func writeNonZero(to Replica, disk cdp.DiskID, p []byte, off int64) error {
	for at := 0; at < len(p); {
		end := at
		for end < len(p) && !vault.AllZero(p[end:min(end+cdp.BlockSize, len(p))]) {
			end = min(end+cdp.BlockSize, len(p))
		}
		if end == at {
			at += cdp.BlockSize
			continue
		}
		if err := to.WriteAt(disk, p[at:end], off+int64(at)); err != nil {
			return err
		}
		at = end
	}
	return nil
}
