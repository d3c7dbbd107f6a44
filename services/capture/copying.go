package capture

import (
	"bytes"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/engine/dirty"
)

// copying is the dirty range that the copier reads right now. order.mu guards it.
//
// Guests do not wait for it. Its bits stay set until its content is in frames,
// but while it is active a guest's write to it gets its place in the order, as
// in a clean region, and is noted as touched. The range is read from the disk
// without a lock; when its content is appended, touched sectors are left out:
// frames have them already, as new or newer. If a write to it is on its way just
// then, the read may have seen half of a sector, and is done again; a range so
// hot that this happens often is locked for one read of a single region, the
// only time a guest waits here.
type copying struct {
	active   bool
	void     bool // a write to it was missed, or frames were lost: leave it dirty
	compared bool // nothing of it is appended, so touches need not be noted: see comparison
	disk     cdp.DiskID
	off, end int64
	touched  []extent
	parts    []part // the copier's own, to be used again
}

type extent struct{ off, end int64 }

// part is a run of zeros or of data.
type part struct {
	extent
	zero bool
}

// maxTouched bounds the writes noted; a range hotter than that is read again.
const maxTouched = 512

func (c *copying) overlaps(d cdp.DiskID, off, n int64) bool {
	return c.active && c.disk == d && off < c.end && c.off < off+n
}

func (c *copying) touch(d cdp.DiskID, off, n int64) {
	if !c.overlaps(d, off, n) || c.void || c.compared {
		return
	}
	if len(c.touched) == maxTouched {
		c.void = true
		return
	}
	c.touched = append(c.touched, extent{off, off + n})
}

func (c *copying) spoil(d cdp.DiskID, off, n int64) {
	if c.overlaps(d, off, n) {
		c.void = true
	}
}

// rest calls f for each part of e that was not touched, in order.
func (c *copying) rest(e extent, f func(extent) bool) bool {
	for _, t := range c.touched {
		if t.end <= e.off || t.off >= e.end {
			continue
		}
		if t.off > e.off && !f(extent{e.off, t.off}) {
			return false
		}
		e.off = max(e.off, t.end)
	}
	return e.off >= e.end || f(e)
}

// leadingHole is how much of the range is a hole from its start on, in whole
// regions, so that its bits can be cleared.
func leadingHole(dev Disk, off, n int64) int64 {
	first := func(n int64) int64 {
		e := dev.Status(off, n)
		if len(e) == 0 || !e[0].Zero {
			return 0
		}
		return min(n, e[0].Length)
	}
	hole := first(min(n, dirty.RegionSize))
	if hole == min(n, dirty.RegionSize) && hole < n {
		hole = first(n)
	}
	if hole < n {
		hole = hole / dirty.RegionSize * dirty.RegionSize
	}
	return hole
}

var zeros [cdp.BlockSize]byte

// split divides what was read into runs of zeros and of data, appended to parts.
func split(parts []part, p []byte, off int64) []part {
	for at := 0; at < len(p); at += cdp.BlockSize {
		b := p[at:min(at+cdp.BlockSize, len(p))]
		e := extent{off + int64(at), off + int64(at+len(b))}
		zero := bytes.Equal(b, zeros[:len(b)])
		if k := len(parts); k > 0 && parts[k-1].zero == zero && parts[k-1].end == e.off {
			parts[k-1].end = e.end
		} else {
			parts = append(parts, part{e, zero})
		}
	}
	return parts
}
