package capture

import (
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/core/frame"
)

// maxZero is the longest Zero record, in bytes.
const maxZero = 1 << 30

// record gives a write its place in the group's order, piece by piece; data is
// nil for zeros. What cannot have a place becomes dirty. It never fails and
// waits for nothing but mu; see patient for the exception.
func (g *Group) record(d cdp.DiskID, off, n int64, data []byte) {
	for n > 0 {
		if g.job.Mode == Tap && !g.job.Frozen {
			g.patient()
		}
		g.mu.Lock()
		k := g.piece(d, off, n, data)
		g.mu.Unlock()
		if off, n = off+k, n-k; data != nil {
			data = data[k:]
		}
	}
}

// patient waits for room in the window, for a short while, as long as a tap's
// client is making its full copy. That copy is as fast as it can be, and a write
// it does not wait for is a copy that has to begin again: on a busy machine it
// would never be complete. There is no history yet that a guest could lose, and
// its client's own copying slows it more. Afterwards a tap never waits.
func (g *Group) patient() {
	const pause = 2 * time.Millisecond
	for waited := time.Duration(0); waited < 2*time.Second; waited += pause {
		g.mu.Lock()
		room := !g.why.tapCopying || !g.state.accepts() || g.fits()
		g.mu.Unlock()
		if room {
			return
		}
		<-clock.After(g.deps.Clock, pause)
	}
}

// piece records the first bytes of a write and returns how many.
func (g *Group) piece(d cdp.DiskID, off, n int64, data []byte) int64 {
	if !g.state.accepts() {
		g.miss(d, off, n)
		return n
	}
	k := min(n, maxZero)
	if data != nil {
		k = min(n, frame.MaxWrite)
	}
	if p := g.frozen.pass; p == nil {
		var live bool
		if live, k = g.live(d, off, k); !live {
			return k // dirty already; it is sent as a whole
		}
	} else if !p.note(g.book, d, off, k) {
		g.miss(d, off, k)
		g.settle("a pass sees too many writes")
		return k
	}
	if !g.fits() {
		g.why.full = true
		g.settle("the window is full and the stream takes nothing")
		g.why.full = false
		g.miss(d, off, n)
		return n
	}
	g.append(d, off, k, data, 0)
	g.copy.touch(d, off, k)
	return k
}

// live reports whether a write at off belongs in a frame, and for how many of
// its n bytes that is so. A region that is being copied is live: see copying.
func (g *Group) live(d cdp.DiskID, off, n int64) (bool, int64) {
	if g.book.Count() == 0 {
		return true, n
	}
	dirty, until := g.book.At(d, off, off+n)
	if !dirty {
		return true, until - off
	}
	c := &g.copy
	switch {
	case !c.active || c.disk != d || off >= c.end:
	case off >= c.off:
		return true, min(until, c.end) - off
	case until > c.off:
		until = c.off
	}
	return false, until - off
}

// miss leaves a write to resync.
func (g *Group) miss(d cdp.DiskID, off, n int64) {
	if g.job.Mode == Inline || g.job.frozen() {
		g.book.Set(d, off, n)
		g.copy.spoil(d, off, n)
		g.frozen.pass.leave(d, off, n)
		return
	}
	if !g.disks[d].lost {
		for _, d := range g.disks { // the group's order is broken
			d.lost, d.synced = true, false
		}
		g.why.tapLost, g.why.tapCopying = true, true
		g.settle("a write of the tap was missed")
	}
}

// fits makes sure that a frame with room is open, if need be in the place of
// the oldest frame that the stream has: the activity knows its regions.
func (g *Group) fits() bool {
	if open, _, full := g.win.Open(); open {
		if !full {
			return true
		}
		g.win.End(g.flags(), g.now())
		nudge(g.wake)
	}
	if g.win.Free() == 0 && g.win.First() <= g.acked {
		g.win.Release(g.win.First())
	}
	return g.win.Begin(g.now())
}

func (g *Group) append(d cdp.DiskID, off, n int64, data []byte, flags uint8) {
	r := frame.Record{Offset: off, Length: uint32(n), Disk: d, Kind: frame.Zero, Flags: flags}
	if data != nil {
		r.Kind = frame.Write
		data = data[:n]
	}
	g.book.Touch(d, off, n) // before it counts
	g.wrote = g.now()
	g.win.Append(r, data, g.wrote)
	g.seq++
	g.poke()
}
