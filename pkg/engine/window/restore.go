package window

import (
	"tidemark.dev/pkg/core/frame"
)

// restore takes over the frames in the slots. It is false when they are not one
// run of ordinals, each with sound content.
func (w *Window) restore() bool {
	w.first, w.last, w.opened, w.ended = 1, 0, false, 0
	lo, hi, used := ^uint64(0), uint64(0), 0
	for i := range w.n {
		if w.at(i).state.Load() == slotFree {
			continue
		}
		ord, ok := w.restoreSlot(i)
		if !ok {
			return false
		}
		lo, hi, used = min(lo, ord), max(hi, ord), used+1
	}
	if used > 0 && (hi-lo+1 != uint64(used) || !w.inOrder(lo, hi)) {
		return false
	}
	if used > 0 {
		w.first, w.last = lo, hi
		w.opened = w.at(w.index(hi)).state.Load() == slotOpen
		w.ended = w.closedAt(w.Closed())
	}
	w.freeAll(func(i int) bool { return w.at(i).state.Load() == slotFree })
	*w.u32(8) = version
	return true
}

// restoreSlot takes over the frame of one slot and gives its ordinal.
func (w *Window) restoreSlot(i int) (ord uint64, ok bool) {
	e := w.at(i)
	records, payload := unpack(e.counts.Load())
	if e.state.Load() > slotSealed || e.ord == 0 || records > frame.MaxRecords || payload > frame.MaxPayload {
		return 0, false
	}
	w.slots[e.ord%uint64(w.n)] = i
	w.builders[i] = frame.Restore(w.slot(i), records, payload)
	end := frame.HeaderSize + payload + records*frame.RecordSize + frame.SealSize
	if e.state.Load() == slotSealed {
		f, err := frame.ParseSlot(w.slot(i))
		if err != nil || f.Records != records || f.PayloadLen != payload {
			return 0, false
		}
		w.frames[i] = f
	}
	// It has this memory already. The budget may be smaller than it was, and a frame
	// that is held is not given up for that.
	want := backing{grown(int64(end), frame.MaxSize), grown(int64(records*frame.RecordSize), frame.MaxRecords*frame.RecordSize)}
	at := w.slotAt(i)
	if w.allocate(at, want.front) != nil || w.allocate(at+frame.StageAt, want.stage) != nil {
		return 0, false
	}
	// What it has beyond is not needed; where the file system cannot take it back, it
	// is used again.
	_ = w.hole(at+want.front, frame.StageAt-want.front)
	_ = w.hole(at+frame.StageAt+want.stage, slotSize-frame.StageAt-want.stage)
	w.budget.owe(w.charge(w.held+want.front+want.stage) - w.charge(w.held))
	w.backed[i], w.held = want, w.held+want.front+want.stage
	return e.ord, true
}

// inOrder reports whether each ordinal has a slot of its own, and only the last
// frame is open.
func (w *Window) inOrder(lo, hi uint64) bool {
	for ord := lo; ord <= hi; ord++ {
		e := w.at(w.index(ord))
		if e.ord != ord || e.state.Load() == slotFree || e.state.Load() == slotOpen && ord != hi {
			return false
		}
	}
	return true
}

// closedAt is when a frame was closed, which may have been released; 0 if that is
// not known.
func (w *Window) closedAt(ord uint64) (at int64) {
	for i := range w.n {
		if e := w.at(i); e.ord == ord && e.state.Load() != slotOpen {
			at = max(at, e.closed)
		}
	}
	return at
}
