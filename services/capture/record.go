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
// waits for nothing but mu; patient is the exception. It locks.
func (o *order) record(d cdp.DiskID, off, n int64, data []byte) {
	for n > 0 {
		if o.job.Mode == cdp.Tap && !o.job.Frozen {
			o.patient()
		}
		o.mu.Lock()
		k := o.piece(d, off, n, data)
		o.mu.Unlock()
		if off, n = off+k, n-k; data != nil {
			data = data[k:]
		}
	}
}

// patient waits a short while for room in the window, as long as a tap's client
// makes its full copy. That copy runs at full speed, and a write that it does
// not wait for is a copy that has to begin again: on a busy machine it would
// never complete. There is no history yet that a guest could lose, and its
// client's own copying slows it more. Afterwards a tap never waits. It locks.
func (o *order) patient() {
	const pause = 2 * time.Millisecond
	for waited := time.Duration(0); waited < 2*time.Second; waited += pause {
		o.mu.Lock()
		room := !o.why.tapCopying || !accepts(o.state) || o.fits(frame.MaxWrite)
		o.mu.Unlock()
		if room {
			return
		}
		<-clock.After(o.deps.Clock, pause)
	}
}

// piece records the first bytes of a write and returns how many.
func (o *order) piece(d cdp.DiskID, off, n int64, data []byte) int64 {
	if !accepts(o.state) {
		o.miss(d, off, n)
		return n
	}
	k := min(n, maxZero)
	if data != nil {
		k = min(n, frame.MaxWrite)
	}
	if p := o.pass; p == nil {
		var admitted bool
		if admitted, k = o.admits(d, off, k); !admitted {
			return k // dirty already; it is sent as a whole
		}
	} else if !p.note(o.book, d, off, k) {
		o.miss(d, off, k)
		o.update("there are too many writes for the pass to note")
		return k
	}
	content := int64(0)
	if data != nil {
		content = k
	}
	if !o.fits(content) {
		o.why.full = true
		o.update("the window is full and the stream takes nothing")
		o.why.full = false
		o.miss(d, off, n)
		return n
	}
	o.append(d, off, k, data, 0)
	o.copy.touch(d, off, k)
	return k
}

// admits reports whether a write at off gets a place in a frame, and for how many
// of its n bytes that holds. So does one to a range that is being copied: see
// copying.
func (o *order) admits(d cdp.DiskID, off, n int64) (bool, int64) {
	if o.book.Count() == 0 {
		return true, n
	}
	dirty, until := o.book.At(d, off, off+n)
	if !dirty {
		return true, until - off
	}
	c := &o.copy
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
func (o *order) miss(d cdp.DiskID, off, n int64) {
	if o.job.Mode == cdp.Inline || o.job.frozen() {
		o.book.Set(d, off, n)
		o.copy.spoil(d, off, n)
		o.pass.leave(d, off, n)
		return
	}
	if !o.taps.of[d].lost {
		o.taps.missAll() // the group's order is broken
		o.update("a write of the tap was missed")
	}
}

// fits makes sure that a frame is open with room and memory for a record with n
// bytes of content, if need be in the place of the oldest frames that the stream
// has: the activity knows their regions.
func (o *order) fits(n int64) bool {
	win := o.out.win
	if open, records, full := win.OpenFrame(); open {
		if !full && win.Room(int(n)) {
			return true
		}
		if full || records > 0 { // an empty one would not get memory as another
			win.End(o.flags(), o.stamp())
			o.wake.Ring()
		}
	}
	for {
		if open, _, _ := win.OpenFrame(); (open || win.Begin(o.stamp())) && win.Room(int(n)) {
			return true
		}
		if win.First() > o.out.acked {
			return false
		}
		win.Release(win.First())
	}
}

// crowded reports whether what can wait must: half of the window, or where memory
// is scarce more than a frame, is for live writes.
func (o *order) crowded() bool {
	pending := o.out.pending()
	return pending >= o.cfg.Slots/2 || pending > 1 && o.deps.Windows.Tight()
}

// append adds a write to the open frame; fits said that there is room.
func (o *order) append(d cdp.DiskID, off, n int64, data []byte, flags uint8) {
	r := frame.Record{Offset: off, Length: uint32(n), Disk: d, Kind: frame.Zero, Flags: flags}
	if data != nil {
		r.Kind = frame.Write
		data = data[:n]
	}
	o.book.Touch(d, off, n) // before it counts
	o.out.wrote = o.stamp()
	o.out.win.Append(r, data, o.out.wrote)
	o.out.seq++
	o.poke()
}
