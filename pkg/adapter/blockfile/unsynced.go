package blockfile

import (
	"fmt"
	"hash/crc32"
	"slices"

	"tidemark.dev/pkg/cdp"
)

// unsynced are the blocks that were written since the last flush that succeeded, by
// region, with what they hold. After a flush that failed, the kernel takes what it
// could not write for written, and may drop it. So it is written again before the next
// one, from the page cache, if it still is what was written.
type unsynced map[int64]*regionSums

// regionSums are the CRC-32Cs of those blocks of a region that were written.
type regionSums struct {
	has [cdp.BlocksPerRegion]bool
	sum [cdp.BlocksPerRegion]uint32
}

// mostUnsynced is after how many regions with unsynced blocks a write flushes. They
// take 5 MiB. A guest that writes less than 4 GiB between two flushes of its own never
// waits for one of ours.
const mostUnsynced = 4096

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// note notes what a block holds.
func (d *File) note(block int64, content []byte) {
	n, i := block/cdp.BlocksPerRegion, block%cdp.BlocksPerRegion
	r := d.written[n]
	if r == nil {
		if last := len(d.spare) - 1; last >= 0 {
			r, d.spare = d.spare[last], d.spare[:last]
		} else {
			r = &regionSums{}
		}
		d.written[n] = r
	}
	r.has[i], r.sum[i] = true, crc32.Checksum(content, castagnoli)
}

// flushed forgets what a flush has made durable, and keeps the memory.
func (d *File) flushed() {
	for _, r := range d.flushing {
		clear(r.has[:])
		d.spare = append(d.spare, r)
	}
	clear(d.flushing)
}

// forget forgets the blocks from first to before end, however many.
func (u unsynced) forget(first, end int64) {
	for n, r := range u {
		from, to := max(0, first-n*cdp.BlocksPerRegion), min(cdp.BlocksPerRegion, end-n*cdp.BlocksPerRegion)
		if from < to {
			clear(r.has[from:to])
		}
	}
}

func (u unsynced) has(block int64) bool {
	r := u[block/cdp.BlocksPerRegion]
	return r != nil && r.has[block%cdp.BlocksPerRegion]
}

// merge adds the blocks of older that u does not have, and empties older.
func (u unsynced) merge(older unsynced) {
	for n, r := range older {
		mine := u[n]
		if mine == nil {
			u[n] = r
			continue
		}
		for i, has := range r.has {
			if has && !mine.has[i] {
				mine.has[i], mine.sum[i] = true, r.sum[i]
			}
		}
	}
	clear(older)
}

// changed notes that n bytes at off were written, or may have been in part. content is
// what, nil where that has to be read. The caller holds mu.
func (d *File) changed(off, n int64, content []byte) error {
	for b := off / cdp.BlockSize; b*cdp.BlockSize < off+n; b++ {
		at := b * cdp.BlockSize
		p := d.block[:max(0, min(cdp.BlockSize, d.size-at))]
		if content != nil && at >= off && at+int64(len(p)) <= off+n {
			p = content[at-off:][:len(p)]
		} else if err := d.ReadAt(p, at); err != nil {
			return err
		}
		d.note(b, p)
	}
	return nil
}

// freed notes that a range was made zeros without the page cache.
func (d *File) freed(off, n int64) error {
	first, end := (off+cdp.BlockSize-1)/cdp.BlockSize, (off+n)/cdp.BlockSize
	d.written.forget(first, end)
	d.flushing.forget(first, end)
	for _, b := range []int64{off / cdp.BlockSize, (off + n - 1) / cdp.BlockSize} { // the edges
		if b < first || b >= end {
			if d.written.has(b) || d.flushing.has(b) {
				if err := d.changed(b*cdp.BlockSize, 1, nil); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// again writes what a failed flush may have dropped.
func (d *File) again() error {
	d.mu.Lock()
	regions := make([]int64, 0, len(d.flushing))
	for n := range d.flushing {
		regions = append(regions, n)
	}
	d.mu.Unlock()
	slices.Sort(regions)
	for _, n := range regions {
		for i := range int64(cdp.BlocksPerRegion) {
			if err := d.blockAgain(n*cdp.BlocksPerRegion + i); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *File) blockAgain(b int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.flushing.has(b) || d.written.has(b) { // or it was written anew since
		return nil
	}
	p := d.block[:min(cdp.BlockSize, d.size-b*cdp.BlockSize)]
	if err := d.ReadAt(p, b*cdp.BlockSize); err != nil {
		return err
	}
	if crc32.Checksum(p, castagnoli) != d.flushing[b/cdp.BlocksPerRegion].sum[b%cdp.BlocksPerRegion] {
		return fmt.Errorf("the block at byte %d is lost: a flush failed (%w), and the kernel dropped it; it is right again once it is written", b*cdp.BlockSize, d.failed)
	}
	defer d.own.begin()()
	_, err := d.f.WriteAt(p, b*cdp.BlockSize)
	return err
}
