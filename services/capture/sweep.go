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
func (g *Group) sweep(ctx context.Context, p *pass) error {
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
		failed = g.readDirty(ctx, p, free, full)
	})
	for c := range full {
		if err := g.place(ctx, p, c); err != nil {
			return err
		}
		free <- c
	}
	return failed
}

func (g *Group) readDirty(ctx context.Context, p *pass, free <-chan *chunk, full chan<- *chunk) error {
	v := g.verifier(ctx, p)
	defer v.close()
	for _, d := range g.disks {
		for off := int64(0); ; {
			start, n, ok := g.book.NextBut(d.ID, off, maxZero, p.later)
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
			if err := g.readChunk(p, c, n, v); err != nil {
				return g.unreadable(ctx, cdp.Wrap(err, "read pass", d.Name))
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

// readChunk fills a chunk with the first part of n bytes.
func (g *Group) readChunk(p *pass, c *chunk, n int64, v *verifier) error {
	dev := p.devs[c.disk]
	hole, until := false, c.off+n
	if p.alloc != nil {
		var data bool
		data, until = p.alloc.At(c.disk, c.off, c.off+n)
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
func (g *Group) place(ctx context.Context, p *pass, c *chunk) error {
	g.mu.Lock()
	losses := g.frozen.losses
	g.mu.Unlock()
	for _, e := range c.parts {
		for e.off < e.end {
			end := e.end
			if !e.zero {
				end = min(end, e.off+frame.MaxWrite)
			}
			if err := g.lockRoom(ctx); err != nil {
				return err
			}
			whole := p.touched.rest(c.disk, e.off, end, func(from, to int64) bool {
				if !g.fits() {
					return false
				}
				var data []byte
				if !e.zero {
					data = c.buf[from-c.off : to-c.off]
				}
				g.append(c.disk, from, to-from, data, frame.Copied)
				e.off = to
				return true
			})
			g.mu.Unlock()
			if whole {
				e.off = end
			}
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.frozen.losses != losses {
		return nil // of these, perhaps: they stay dirty
	}
	g.book.ClearBut(c.disk, c.off, c.n, p.later)
	g.frozen.verified += c.same
	end := c.off + c.n
	p.touched.forget(c.disk, p.swept[c.disk], end)
	p.swept[c.disk] = max(p.swept[c.disk], end/dirty.RegionSize*dirty.RegionSize)
	return nil
}
