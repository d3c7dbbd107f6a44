package capture

import (
	"context"
	"slices"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/engine/dirty"
)

// copier seeds and resyncs an inline group: it reads dirty regions from the
// disks and puts them into frames, while there is room. It is the only one that
// clears dirty bits of an inline group. Its fields belong to its one goroutine;
// what it reads right now is order.copy.
type copier struct {
	order  *order
	flight *flight

	buf []byte
	// The next dirty range is looked for from here on.
	disk  cdp.DiskID
	off   int64
	tries int // how often reading the range there had to be repeated

	compared comparison
	asked    uint64 // the last ordinal with writes when the comparison began
}

// maxTries is how often a range is read again before it is locked.
const maxTries = 4

func (c *copier) run(ctx context.Context) {
	o := c.order
	for ctx.Err() == nil {
		wait := time.Minute // room nudges; this is for nothing forgotten
		if n, ok := c.activate(); ok {
			start := c.off
			end, err := start, error(nil)
			if c.compared.next {
				if err = c.compareRange(ctx); err == nil {
					continue
				}
			} else {
				end, err = c.copyRange(start, n, c.tries >= maxTries)
			}
			c.tries++
			if end > start || err != nil {
				c.tries = 0
			}
			c.off = max(end, start)
			if err == nil {
				continue
			}
			o.setTrouble(err)
			wait = o.cfg.RetryMax
		} else {
			c.rest()
		}
		select {
		case <-ctx.Done():
		case <-o.room:
		case <-clock.After(o.deps.Clock, wait):
		}
	}
}

// rest gives back the memory for copying, if there is nothing to copy.
func (c *copier) rest() {
	o := c.order
	o.mu.Lock()
	defer o.mu.Unlock()
	if !copies(o.state) {
		c.buf, o.copy.touched, o.copy.parts = nil, nil, nil
	}
}

// activate makes the next dirty range the one that is copied, if it is time to:
// it begins at c.off of c.disk and has n bytes.
func (c *copier) activate() (n int64, ok bool) {
	o := c.order
	o.mu.Lock()
	defer o.mu.Unlock()
	if !copies(o.state) || o.crowded() || !o.fits(frame.MaxWrite) {
		return 0, false
	}
	if c.buf == nil {
		c.buf, o.copy.touched = make([]byte, frame.MaxWrite), make([]extent, 0, maxTouched)
	}
	for range len(o.disks) + 1 {
		start, n, ok := o.book.Next(c.disk, c.off, maxZero)
		if ok {
			start, n = c.compares(start, n)
			c.off = start
			o.copy = copying{active: true, compared: c.compared.next, disk: c.disk, off: start, end: start + n, touched: o.copy.touched[:0], parts: o.copy.parts[:0]}
			return n, true
		}
		c.disk, c.off = (c.disk+1)%cdp.DiskID(len(o.disks)), 0
	}
	o.update("nothing is dirty any more")
	return 0, false
}

// copyRange sends the active range, or the first part of it, and returns where
// it ended: at off if it has to be done again.
func (c *copier) copyRange(off, n int64, lock bool) (end int64, err error) {
	o, d := c.order, c.disk
	if lock {
		n = min(n, dirty.RegionSize)
		row, ok := c.flight.enter(d, off, n)
		if !ok {
			return off, nil // closing
		}
		defer c.flight.leave(row)
	}
	parts, n, err := c.read(o.copy.parts, off, n)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.copy.end, o.copy.parts = off+n, parts
	defer func() { o.copy.active = false }()
	if err != nil {
		return o.copy.end, cdp.Wrap(&cdp.Error{Op: "read", Kind: cdp.Transient, Subject: o.disks[d].Name, Cause: err}, "copy", string(o.job.Group))
	}
	if o.copy.void || !accepts(o.state) || !lock && c.flight.any(d, off, o.copy.end) {
		return off, nil
	}
	if !c.appendUntouched(off) {
		return off, nil // no room after all; the bits stay
	}
	o.book.Clear(d, off, n)
	if o.book.Count() == 0 {
		o.update("everything dirty was sent")
	}
	return o.copy.end, nil
}

// read reads the first part of the range, a hole or data, and returns its length.
func (c *copier) read(parts []part, off, n int64) ([]part, int64, error) {
	dev := c.order.disks[c.disk].dev
	if hole := leadingHole(dev, off, n); hole > 0 {
		return append(parts, part{extent{off, off + hole}, true}), hole, nil
	}
	n = min(n, int64(len(c.buf)))
	err := dev.ReadAt(c.buf[:n], off)
	if err == nil {
		parts = split(parts, c.buf[:n], off)
	}
	return parts, n, err
}

// appendUntouched puts the parts of the active range, which was read from off
// on, into frames, without what guests have written since. False when there was
// no room for all of it. Call with order.mu held.
func (c *copier) appendUntouched(off int64) bool {
	o := c.order
	slices.SortFunc(o.copy.touched, func(a, b extent) int { return int(min(1, max(-1, a.off-b.off))) })
	for _, p := range o.copy.parts {
		whole := o.copy.rest(p.extent, func(e extent) bool {
			var data []byte
			if !p.zero {
				data = c.buf[e.off-off : e.end-off]
			}
			if !o.fits(int64(len(data))) {
				return false
			}
			o.append(c.disk, e.off, e.end-e.off, data, frame.Copied)
			return true
		})
		if !whole {
			return false
		}
	}
	return true
}
