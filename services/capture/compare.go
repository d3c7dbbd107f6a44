package capture

import (
	"context"
	"slices"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
)

// comparison is the part of an inline group's first copy that was compared with the
// target, which may hold the content already. What is still dirty there differs, and is
// sent. It belongs to the copier's goroutine.
//
// Why what is equal need not be sent: the range is active (see copying) from before the
// comparison until its bits are cleared. The target's checksums are asked for when it
// has every frame from before that. So a sector of the range changes there only by
// frames of writes that came since, and each of those is in a frame here: a write that
// was missed makes the range void, and nothing of it is cleared.
type comparison struct {
	disk     cdp.DiskID
	off, end int64
	next     bool // the active range is to be compared
}

// compares makes the range from start on the one to compare, if its content may be at
// the target and was not compared yet; otherwise n is what of it may be copied. Call
// with order.mu held.
func (c *copier) compares(start, n int64) (from, length int64) {
	o := c.order
	x := &c.compared
	x.next = false
	switch {
	case !o.job.Verify || !o.book.Seeding() || o.deps.Sums == nil:
		return start, n
	case x.disk == c.disk && x.off <= start && start < x.end:
		return start, min(n, x.end-start)
	}
	from = start / sumBlock * sumBlock
	x.disk, x.off, x.end, x.next = c.disk, from, min(from+sumAhead, o.disks[c.disk].Size), true
	c.asked = o.newestOrdinal()
	return from, x.end - from
}

// compareRange compares the active range with the target, and clears what is equal. On
// an error it is done again.
func (c *copier) compareRange(ctx context.Context) error {
	o, x := c.order, &c.compared
	theirs, err := c.theirs(ctx)
	var same []extent
	if err == nil {
		same, err = c.same(theirs)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.copy.active = false
	if err != nil {
		x.off, x.end = 0, 0
		return cdp.Wrap(err, "compare with the target", string(o.job.Group))
	}
	if o.copy.void || !accepts(o.state) {
		return nil // it is copied as a whole
	}
	for _, e := range same {
		o.book.Clear(x.disk, e.off, e.end-e.off)
		o.verified += e.end - e.off
	}
	if o.book.Count() == 0 {
		o.update("the target has everything")
	}
	return nil
}

// theirs are the target's checksums of the active range; nil if it refuses to give any,
// so that everything is sent.
func (c *copier) theirs(ctx context.Context) ([][32]byte, error) {
	o, x := c.order, c.compared
	for since, pause := o.deps.Clock.Now(), (clock.Backoff{Clock: o.deps.Clock, Min: time.Millisecond, Max: o.cfg.RetryMin}); !o.arrived(ctx, c.asked); {
		if o.deps.Clock.Now().Sub(since) > o.cfg.AckTimeout {
			o.probe()
			return nil, cdp.Errorf(cdp.Transient, "wait", "", "the journal does not have every frame yet")
		}
		if err := pause.Wait(ctx); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 6*o.cfg.AskTimeout)
	defer cancel()
	n := x.end - x.off
	of, err := o.deps.Sums(ctx, o.job.Target, o.job.Group, x.disk, x.off, n, sumBlock)
	switch {
	case cdp.Is(err, cdp.Transient):
		return nil, err
	case err != nil || int64(len(of)) != (n+sumBlock-1)/sumBlock:
		return nil, nil
	}
	return of, nil
}

// same reads the range, and gives what of it has the target's checksums.
func (c *copier) same(theirs [][32]byte) (out []extent, err error) {
	x := c.compared
	dev := c.order.disks[x.disk].dev
	buf := make([]byte, sumBlock)
	for i, sum := range theirs {
		e := extent{x.off + int64(i)*sumBlock, min(x.end, x.off+int64(i+1)*sumBlock)}
		p := buf[:e.end-e.off]
		if leadingHole(dev, e.off, int64(len(p))) == int64(len(p)) {
			p = nil
		} else if err := dev.ReadAt(p, e.off); err != nil {
			return nil, &cdp.Error{Op: "read", Kind: cdp.Transient, Subject: c.order.disks[x.disk].Name, Cause: err}
		}
		if sumOf(p, e.end-e.off) == sum {
			out = append(out, e)
		}
	}
	return slices.Clip(out), nil
}
