package capture

import (
	"bytes"
	"context"
	"slices"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/engine/dirty"
)

// copying is the dirty range that is being sent right now, guarded by Group.mu.
//
// Guests do not wait for it. Its bits stay set until its content is in frames,
// but while it is active a guest's write to it gets its place in the order, as
// in a clean region, and is noted as touched. The range is read from the disk
// without a lock; when its content is appended, touched sectors are left out:
// they stand in frames already, as new or newer. If a write to it is on its way just
// then, the read may have seen half of a sector, and is done again; a range so
// hot that this happens often is locked for one read of a single region, the
// only time a guest waits here.
type copying struct {
	active   bool
	void     bool // a write to it was missed, or frames were lost: leave it dirty
	disk     cdp.DiskID
	off, end int64
	touched  []extent
	parts    []part // the copier's own, to be used again
}

type extent struct{ off, end int64 }

// maxTouched bounds the writes noted; a range hotter than that is read again.
const maxTouched = 512

func (c *copying) overlaps(d cdp.DiskID, off, n int64) bool {
	return c.active && c.disk == d && off < c.end && c.off < off+n
}

func (c *copying) touch(d cdp.DiskID, off, n int64) {
	if !c.overlaps(d, off, n) || c.void {
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

// copier is the one loop of seeding, resync and recovery: it sends dirty
// regions while there is room.
func (g *Group) copier(ctx context.Context) {
	tries := 0
	g.copy.touched = make([]extent, 0, maxTouched)
	buf := make([]byte, frame.MaxWrite)
	var disk cdp.DiskID
	var off int64
	for ctx.Err() == nil {
		var wait time.Duration
		start, n, ok := g.dirtyRun(&disk, off)
		if ok {
			end, err := g.copyOne(disk, start, n, buf, tries >= maxTries)
			if end > start || err != nil {
				tries = 0
			} else {
				tries++
			}
			off = max(end, start)
			if err != nil {
				g.trouble(err)
				wait = g.cfg.RetryMax
			}
		}
		if ok && wait == 0 {
			continue
		}
		if wait == 0 {
			wait = time.Minute // room is told; this is for nothing forgotten
		}
		select {
		case <-ctx.Done():
		case <-g.room:
		case <-clock.After(g.deps.Clock, wait):
		}
	}
}

// dirtyRun activates the next dirty range, if this is the time to copy.
func (g *Group) dirtyRun(disk *cdp.DiskID, off int64) (start, n int64, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.state.copies() || g.pending() >= g.cfg.Slots/2 {
		return 0, 0, false
	}
	for range len(g.disks) + 1 {
		if start, n, ok = g.book.Next(*disk, off, maxZero); ok {
			g.copy = copying{active: true, disk: *disk, off: start, end: start + n, touched: g.copy.touched[:0], parts: g.copy.parts[:0]}
			return start, n, true
		}
		*disk, off = (*disk+1)%cdp.DiskID(len(g.disks)), 0
	}
	g.settle("nothing is dirty any more")
	return 0, 0, false
}

// maxTries is how often a range is read in vain before it is locked.
const maxTries = 4

// copyOne sends the active range, or the first part of it, and returns where
// it ended: at off if it has to be done again.
func (g *Group) copyOne(d cdp.DiskID, off, n int64, buf []byte, lock bool) (end int64, err error) {
	dev := g.disks[d].dev
	if lock {
		n = min(n, dirty.RegionSize)
		row, ok := g.flight.enter(d, off, n)
		if !ok {
			return off, nil // closing
		}
		defer g.flight.leave(row)
	}
	parts := g.copy.parts
	if hole := leadingHole(dev, off, n); hole > 0 {
		n = hole
		parts = append(parts, part{extent{off, off + n}, true})
	} else {
		n = min(n, int64(len(buf)))
		if err = dev.ReadAt(buf[:n], off); err == nil {
			parts = split(parts, buf[:n], off)
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	c := &g.copy
	c.end, c.parts = off+n, parts
	defer func() { c.active = false }()
	if err != nil {
		return c.end, cdp.Wrap(&cdp.Error{Op: "read", Kind: cdp.Transient, Subject: g.disks[d].Name, Cause: err}, "copy", string(g.job.Group))
	}
	if c.void || !g.state.accepts() || !lock && g.flight.any(d, off, c.end) {
		return off, nil
	}
	slices.SortFunc(c.touched, func(a, b extent) int { return int(min(1, max(-1, a.off-b.off))) })
	for _, p := range parts {
		whole := c.rest(p.extent, func(e extent) bool {
			if !g.fits() {
				return false
			}
			var data []byte
			if !p.zero {
				data = buf[e.off-off : e.end-off]
			}
			g.append(d, e.off, e.end-e.off, data, frame.Copied)
			return true
		})
		if !whole {
			return off, nil // no room after all; the bits stay
		}
	}
	g.book.Clear(d, off, n)
	if g.book.Count() == 0 {
		g.settle("everything dirty was sent")
	}
	return c.end, nil
}

type part struct {
	extent
	zero bool
}

// leadingHole is how much of the range is a hole from its start on, in whole
// regions, so that its bits can be cleared.
func leadingHole(dev Disk, off, n int64) int64 {
	first := func(n int64) int64 {
		e := dev.Extents(off, n)
		if len(e) == 0 || !e[0].Hole {
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

// split divides what was read into runs of zeros and of data, behind parts.
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
