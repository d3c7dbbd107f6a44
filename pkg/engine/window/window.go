package window

import (
	"os"

	"golang.org/x/sys/unix"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
)

// Window is a ring of frame slots in shared memory. Make one with Open.
type Window struct {
	file   *os.File
	mem    []byte
	n      int
	budget *Budget

	// first..last are the ordinals in use; first == last+1 when there are none.
	// Invariant: last-first+1 <= n; ordinal o is in slot slots[o%n].
	first, last uint64
	opened      bool  // last is open
	ended       int64 // when the newest closed frame was closed; 0: there was none
	slots       []int
	// free are the slots without a frame; the last one is used next, and what was
	// used last is used again, so that a window that is little used stays small.
	free []int
	calm int // the first calm of free were not used since the last Trim

	backed []backing // of the slots
	held   int64     // bytes, of all slots

	builders []frame.Builder // of the slots in use
	frames   []frame.Frame   // of the sealed ones; they refer to their slot
}

// Close unmaps the window; its file stays, with all frames. No Frame that it
// returned may be used afterwards.
func (w *Window) Close() error {
	if w.mem != nil {
		unix.Munmap(w.mem)
		w.mem = nil
		for i := range w.n {
			w.forget(i)
		}
	}
	if w.file == nil {
		return nil
	}
	err := w.file.Close()
	w.file = nil
	return err
}

// Path is the window's file.
func (w *Window) Path() string { return w.file.Name() }

// First and Last are the oldest and the newest frame held, the open one
// included. First is Last+1 when there is none.
func (w *Window) First() uint64 { return w.first }

// Last: see First.
func (w *Window) Last() uint64 { return w.last }

// Closed is the newest frame that is not open; First-1 when there is none.
func (w *Window) Closed() uint64 {
	if w.opened {
		return w.last - 1
	}
	return w.last
}

// Free is how many slots hold no frame.
func (w *Window) Free() int { return len(w.free) }

func (w *Window) index(ord uint64) int { return w.slots[ord%uint64(w.n)] }

// Begin opens the next frame at source time now, ns since 1970. It is false
// when no slot is free, there is no memory for a frame, or a frame is open already.
func (w *Window) Begin(now int64) bool {
	if w.opened || w.Free() == 0 {
		return false
	}
	i := w.free[len(w.free)-1]
	w.free = w.free[:len(w.free)-1]
	if !w.back(i, frame.HeaderSize+frame.SealSize, 0) {
		w.free = append(w.free, i)
		return false
	}
	w.calm = min(w.calm, len(w.free))
	w.slots[(w.last+1)%uint64(w.n)] = i
	e := w.at(i)
	e.flags, e.ord, e.opened, e.closed, e.answer, e.before = 0, w.last+1, now, 0, 0, frame.Hash{}
	e.counts.Store(0)
	w.builders[i] = frame.NewBuilder(w.slot(i))
	w.frames[i] = frame.Frame{}
	w.last++
	w.opened = true
	e.state.Store(slotOpen)
	return true
}

// OpenFrame reports whether a frame is open, its number of records, and whether
// it is full.
func (w *Window) OpenFrame() (open bool, records int, full bool) {
	if !w.opened {
		return false, 0, false
	}
	b := &w.builders[w.index(w.last)]
	return true, b.Records(), b.Full()
}

// Append adds a write to the open frame, which must not be full, and for which
// Room was true. now is the source time of the write. Once it returns, the write outlives the process.
func (w *Window) Append(r frame.Record, data []byte, now int64) {
	i := w.index(w.last)
	b, e := &w.builders[i], w.at(i)
	if us := (now - e.opened) / 1000; us > 0 {
		r.Micros = uint32(min(us, 1<<32-1))
	}
	b.Append(r, data)
	e.counts.Store(pack(b))
}

// Answer notes the request that the open frame answers. It is to be closed next.
func (w *Window) Answer(r cdp.RequestID) { w.at(w.index(w.last)).answer = r }

// End closes the open frame at source time now with these flags.
func (w *Window) End(flags frame.Flags, now int64) {
	e := w.at(w.index(w.last))
	e.flags, e.closed, w.ended = uint32(flags), now, now
	e.state.Store(slotClosed)
	w.opened = false
}

// Ended is the time at which the newest closed frame was closed, which may have
// been released; 0 if there is none.
func (w *Window) Ended() int64 { return w.ended }

// Release frees every slot up to and including frame ord. It must not free the
// open frame.
func (w *Window) Release(ord uint64) {
	for w.first <= min(ord, w.Closed()) {
		i := w.index(w.first)
		w.at(i).state.Store(slotFree)
		w.free = append(w.free, i)
		w.first++
	}
}

// Records is how many writes frame ord, which is held, has.
func (w *Window) Records(ord uint64) int { return w.builders[w.index(ord)].Records() }

// Seal makes frame ord, which is closed, what is sent: with the epoch, number,
// first seq, predecessor and extra flags of h, and the flags, times and request it
// was closed with. sign signs markers; nil: nobody does. Sealing again replaces the frame sealed before, whose hash stays
// known as Before.
func (w *Window) Seal(ord uint64, h frame.Header, sign frame.Signer) frame.Frame {
	i := w.index(ord)
	e := w.at(i)
	if e.state.Load() == slotSealed {
		e.before = w.frames[i].Hash
		e.state.Store(slotClosed)
	}
	h.Flags |= frame.Flags(e.flags)
	h.Opened, h.Sealed, h.Request = e.opened, e.closed, e.answer
	if !h.Has(frame.Marker) {
		sign = nil
	}
	w.frames[i] = w.builders[i].SealSigned(h, sign)
	e.state.Store(slotSealed)
	return w.frames[i]
}

// Frame is frame ord as it was sealed last; ok is false if it never was.
func (w *Window) Frame(ord uint64) (f frame.Frame, ok bool) {
	i := w.index(ord)
	return w.frames[i], w.at(i).state.Load() == slotSealed
}

// Before is the hash under which frame ord had been sealed before the last
// time, zero if it was sealed once at most.
func (w *Window) Before(ord uint64) frame.Hash { return w.at(w.index(ord)).before }
