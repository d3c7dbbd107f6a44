package capture

import (
	"context"
	"sync"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/engine/dirty"
)

const (
	readSize = 1 << 20  // of one read from a frozen disk
	holeSize = 64 << 20 // of one hole that is compared
)

// chunk is a range of a frozen disk on its way from the reader.
type chunk struct {
	disk   cdp.DiskID
	off, n int64
	buf    []byte
	parts  []part // to be sent; of the rest the target has the same
	same   int64  // bytes of that rest
}

// sweep sends what is dirty from the pass's disks, one after the other. A range
// is read, and compared, while the one before it is put into frames.
func (p *passes) sweep(ctx context.Context, x *pass) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	free, full := make(chan *chunk, 2), make(chan *chunk)
	for range 2 {
		free <- &chunk{buf: make([]byte, readSize)}
	}
	var failed error
	wg.Go(func() {
		defer close(full)
		failed = p.readDirty(ctx, x, free, full)
	})
	for c := range full {
		if err := p.place(ctx, x, c); err != nil {
			return err
		}
		free <- c
	}
	return failed
}

func (p *passes) readDirty(ctx context.Context, x *pass, free <-chan *chunk, full chan<- *chunk) error {
	o := p.order
	v := p.verifier(ctx, x)
	defer v.close()
	for _, d := range o.disks {
		if d.removed {
			o.forgetDirty(d)
			continue
		}
		for off := int64(0); ; {
			start, n, ok := o.book.NextBut(d.ID, off, maxZero, x.later)
			if !ok {
				break
			}
			var c *chunk
			select {
			case <-ctx.Done():
				return ctx.Err()
			case c = <-free:
			}
			c.disk, c.off, c.parts, c.same = d.ID, start, c.parts[:0], 0
			if err := p.readChunk(x, c, n, v); err != nil {
				return p.unreadable(ctx, cdp.Wrap(err, "read pass", d.Name))
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case full <- c:
			}
			off = start + c.n
		}
	}
	return nil
}

// forgetDirty clears what is dirty of a disk that was removed: nobody can read it, and no
// point from now on has it. It locks.
func (o *order) forgetDirty(d *disk) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for off := int64(0); ; {
		start, n, ok := o.book.Next(d.ID, off, maxZero)
		if !ok {
			return
		}
		o.book.Clear(d.ID, start, n)
		off = start + n
	}
}

// readChunk fills a chunk with the first part of n bytes.
func (p *passes) readChunk(x *pass, c *chunk, n int64, v *verifier) error {
	dev := x.devs[c.disk]
	hole, until := false, c.off+n
	if x.alloc != nil {
		var data bool
		data, until = x.alloc.At(c.disk, c.off, c.off+n)
		hole = !data
	}
	c.n = until - c.off
	if !hole {
		if k := leadingHole(dev, c.off, c.n); k > 0 {
			hole, c.n = true, k
		}
	}
	if hole {
		if v != nil {
			c.n = min(c.n, holeSize)
		}
		return v.parts(c, nil)
	}
	c.n = min(c.n, readSize)
	if err := dev.ReadAt(c.buf[:c.n], c.off); err != nil {
		return &cdp.Error{Op: "read frozen disk", Kind: cdp.Transient, Cause: err}
	}
	return v.parts(c, c.buf[:c.n])
}

// place puts what a chunk holds into frames, but for the touched sectors, and
// clears its regions, but for those of later.
func (p *passes) place(ctx context.Context, x *pass, c *chunk) error {
	o := p.order
	o.mu.Lock()
	losses := o.losses
	o.mu.Unlock()
	for _, e := range c.parts {
		for e.off < e.end {
			end := e.end
			if !e.zero {
				end = min(end, e.off+frame.MaxWrite)
			}
			if err := p.lockRoom(ctx); err != nil {
				return err
			}
			whole := x.touched.rest(c.disk, e.off, end, func(from, to int64) bool {
				var data []byte
				if !e.zero {
					data = c.buf[from-c.off : to-c.off]
				}
				if !o.fits(int64(len(data))) {
					return false
				}
				o.append(c.disk, from, to-from, data, frame.Copied)
				e.off = to
				return true
			})
			o.mu.Unlock()
			if whole {
				e.off = end
			}
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.losses != losses {
		return nil // of these, perhaps: they stay dirty
	}
	o.book.ClearBut(c.disk, c.off, c.n, x.later)
	o.verified += c.same
	end := c.off + c.n
	x.touched.forget(c.disk, x.swept[c.disk], end)
	x.swept[c.disk] = max(x.swept[c.disk], end/dirty.RegionSize*dirty.RegionSize)
	return nil
}
