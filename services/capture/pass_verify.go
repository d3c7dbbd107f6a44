package capture

import (
	"context"
	"crypto/sha256"
	"sync"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/engine/dirty"
)

const (
	sumBlock = dirty.RegionSize // what one checksum is of
	sumAhead = 16 << 20         // how much is asked for at once
)

// verifier finds what the target has already, so that it is not sent. It
// belongs to the goroutine that reads; a nil one sends everything.
//
// Why that may be: the target's sums are asked for when it has every frame from
// before the pass. So a block that it has as it was frozen becomes another only
// by frames of this pass: by writes, whose sectors are touched and left out
// anyway, or by the same frozen content.
type verifier struct {
	passes *passes
	pass   *pass
	ctx    context.Context
	ready  bool
	now    *sums // of where it reads
	soon   *sums // asked for meanwhile; nil: nothing
	wg     sync.WaitGroup
}

// sums are the target's of one range. They count once done is closed.
type sums struct {
	disk   cdp.DiskID
	off, n int64
	done   chan struct{}
	of     [][32]byte // nil: they could not be had
}

func (p *passes) verifier(ctx context.Context, x *pass) *verifier {
	o := p.order
	if !x.verify || o.deps.Sums == nil {
		return nil
	}
	return &verifier{passes: p, pass: x, ctx: ctx}
}

func (v *verifier) close() {
	if v != nil {
		v.wg.Wait()
	}
}

// parts says what of a chunk is to be sent; data is nil for zeros.
func (v *verifier) parts(c *chunk, data []byte) error {
	if v == nil {
		c.add(c.off, c.off+c.n, data)
		return nil
	}
	if err := v.wait(); err != nil {
		return err
	}
	for off, end := c.off, c.off+c.n; off < end; {
		to := min(end, off+sumBlock)
		var block []byte
		if data != nil {
			block = data[off-c.off : to-c.off]
		}
		if theirs, ok := v.sum(c.disk, off); ok && theirs == sumOf(block, to-off) {
			c.same += to - off
		} else {
			c.add(off, to, block)
		}
		off = to
	}
	return nil
}

// add appends what is to be sent, as runs of zeros and of data.
func (c *chunk) add(off, end int64, data []byte) {
	if data != nil {
		c.parts = split(c.parts, data, off)
		return
	}
	if k := len(c.parts); k > 0 && c.parts[k-1].zero && c.parts[k-1].end == off {
		c.parts[k-1].end = end
		return
	}
	c.parts = append(c.parts, part{extent{off, end}, true})
}

var zeroSum = sha256.Sum256(make([]byte, sumBlock))

func sumOf(p []byte, n int64) [32]byte {
	switch {
	case p != nil:
		return sha256.Sum256(p)
	case n == sumBlock:
		return zeroSum
	}
	return sha256.Sum256(make([]byte, n))
}

// wait returns once the journal has every frame from before the pass.
func (v *verifier) wait() error {
	o := v.passes.order
	since := o.deps.Clock.Now()
	for asked := since; !v.ready; {
		if v.ready = o.arrived(v.ctx, v.pass.last); v.ready {
			break
		}
		if err := v.passes.stalled(v.ctx, since); err != nil {
			return err
		}
		if now := o.deps.Clock.Now(); now.Sub(asked) > o.cfg.AckTimeout {
			asked = now
			o.probe()
		}
		select {
		case <-v.ctx.Done():
		case <-clock.After(o.deps.Clock, o.cfg.RetryMin):
		}
	}
	return nil
}

// sum is the target's of the block at off.
func (v *verifier) sum(d cdp.DiskID, off int64) (s [32]byte, ok bool) {
	has := func(x *sums) bool { return x != nil && x.disk == d && x.off <= off && off < x.off+x.n }
	if !has(v.now) {
		if v.now, v.soon = v.soon, nil; !has(v.now) {
			v.now = v.ask(d, off)
		}
		next := v.now.off + v.now.n
		if start, _, ok := v.passes.order.book.NextBut(d, next, sumBlock, v.pass.later); ok && start < next+sumAhead {
			v.soon = v.ask(d, start)
		}
	}
	<-v.now.done
	i := (off - v.now.off) / sumBlock
	if i >= int64(len(v.now.of)) {
		return s, false
	}
	return v.now.of[i], true
}

func (v *verifier) ask(d cdp.DiskID, off int64) *sums {
	o := v.passes.order
	x := &sums{disk: d, off: off, n: min(sumAhead, o.disks[d].Size-off), done: make(chan struct{})}
	v.wg.Go(func() {
		defer close(x.done)
		ctx, cancel := context.WithTimeout(v.ctx, 6*o.cfg.AskTimeout)
		defer cancel()
		of, err := o.deps.Sums(ctx, o.job.Target, o.job.Group, d, x.off, x.n, sumBlock)
		if err == nil && int64(len(of)) == (x.n+sumBlock-1)/sumBlock {
			x.of = of
		}
	})
	return x
}
