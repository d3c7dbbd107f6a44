package capture

import (
	"math/bits"
	"sync"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/engine/dirty"
)

// flight is the table of the writes in flight to a disk. It keeps overlapping
// writes in the order of their entry, and mirrors each as an intent that survives
// kill -9.
//
// A guest waits here only for its own writes: an overlapping one, or 64 others.
type flight struct {
	mu   sync.Mutex
	left sync.Cond
	book *dirty.Map
	used uint64 // bit i: rows[i] is on its way
	rows [dirty.Intents]struct {
		disk     cdp.DiskID
		off, end int64
	}
	closed bool
}

func (f *flight) init(book *dirty.Map) {
	f.book = book
	f.left.L = &f.mu
}

// enter waits until nothing overlaps the range and takes a row. ok is false
// once the table is closed.
func (f *flight) enter(disk cdp.DiskID, off, n int64) (row int, ok bool) {
	f.mu.Lock()
	for {
		if f.closed {
			f.mu.Unlock()
			return 0, false
		}
		if ^f.used != 0 && !f.overlaps(disk, off, off+n) {
			break
		}
		f.left.Wait()
	}
	row = bits.TrailingZeros64(^f.used)
	f.used |= 1 << row
	r := &f.rows[row]
	r.disk, r.off, r.end = disk, off, off+n
	f.book.Begin(row, disk, off, n)
	f.mu.Unlock()
	return row, true
}

func (f *flight) overlaps(disk cdp.DiskID, off, end int64) bool {
	for u := f.used; u != 0; u &= u - 1 {
		r := &f.rows[bits.TrailingZeros64(u)]
		if r.disk == disk && off < r.end && r.off < end {
			return true
		}
	}
	return false
}

// any reports whether a write to the range is in flight.
func (f *flight) any(disk cdp.DiskID, off, end int64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.overlaps(disk, off, end)
}

func (f *flight) leave(row int) {
	f.mu.Lock()
	f.book.End(row)
	f.used &^= 1 << row
	f.mu.Unlock()
	f.left.Broadcast()
}

// close refuses new writes and waits for those in flight.
func (f *flight) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	f.left.Broadcast()
	for f.used != 0 {
		f.left.Wait()
	}
}
