package window

import (
	"golang.org/x/sys/unix"

	"tidemark.dev/pkg/core/frame"
)

// Floor is the memory, in bytes, that a window has whatever the budget: room for one
// frame with the longest record.
const Floor = floorFront + page

const floorFront = (frame.HeaderSize + frame.MaxWrite + frame.RecordSize + frame.SealSize + page - 1) / page * page

// backing is how much of a slot has memory: the sealed frame from the slot's
// start, and the records staged after it.
//
// Invariant: nothing is stored where there is no memory. A store into a hole of the
// mapping of a full file system ends the process.
type backing struct{ front, stage int64 }

// Room makes sure that the open frame has memory for one more record with n bytes
// of content. It is false when neither the budget nor the file system has any.
func (w *Window) Room(n int) bool {
	i := w.index(w.last)
	b := &w.builders[i]
	front := frame.HeaderSize + b.PayloadLen() + n + (b.Records()+1)*frame.RecordSize + frame.SealSize
	return w.back(i, int64(front), int64((b.Records()+1)*frame.RecordSize))
}

// back gives a slot memory for its first front bytes and for stage bytes of
// records. Slots that are free give up theirs where there is no more.
func (w *Window) back(i int, front, stage int64) bool {
	have := w.backed[i]
	if front <= have.front && stage <= have.stage {
		return true
	}
	want := backing{max(have.front, grown(front, frame.MaxSize)), max(have.stage, grown(stage, frame.MaxRecords*frame.RecordSize))}
	for !w.grow(i, want) {
		if w.drop(len(w.free)) == 0 {
			return false
		}
	}
	return true
}

// grown rounds up, so that a slot grows few times: to a power of two of pages, and
// above step to whole steps.
func grown(n, most int64) int64 {
	const step = 64 << 10
	size := int64(page)
	for size < min(n, step) {
		size *= 2
	}
	if n > step {
		size = (n + step - 1) / step * step
	}
	return min(size, most)
}

// grow gives a slot more memory, or leaves it as it is.
func (w *Window) grow(i int, want backing) bool {
	have := w.backed[i]
	more := want.front - have.front + want.stage - have.stage
	mine := w.charge(w.held)
	due := w.charge(w.held+more) - mine
	if !w.budget.take(due, mine) {
		return false
	}
	at := w.slotAt(i)
	err := w.allocate(at+have.front, want.front-have.front)
	if err == nil {
		err = w.allocate(at+frame.StageAt+have.stage, want.stage-have.stage)
	}
	if err != nil {
		w.budget.give(due)
		return false
	}
	w.backed[i], w.held = want, w.held+more
	return true
}

// charge is what the budget is asked for by a window that holds n bytes.
func (w *Window) charge(n int64) int64 { return max(0, n-Floor) }

func (w *Window) allocate(at, n int64) error {
	if n == 0 {
		return nil
	}
	return unix.Fallocate(int(w.file.Fd()), 0, at, n)
}

// trimAtOnce bounds the work of one Trim.
const trimAtOnce = 4

// Trim gives up the memory of slots that no frame needed since the last Trim,
// some at a time. The slot that is used next keeps its own.
func (w *Window) Trim() {
	w.drop(min(w.calm, len(w.free)-1))
	w.calm = len(w.free)
}

// drop takes the memory of some of the first n slots of free, and returns of how
// many.
func (w *Window) drop(n int) (dropped int) {
	for _, i := range w.free[:max(n, 0)] {
		if w.backed[i] == (backing{}) || w.punch(i) != nil {
			continue // one whose file system cannot keeps its memory, and uses it again
		}
		w.forget(i)
		if dropped++; dropped == trimAtOnce {
			break
		}
	}
	return dropped
}

// punch takes the memory of a slot.
func (w *Window) punch(i int) error { return w.hole(w.slotAt(i), slotSize) }

func (w *Window) hole(at, n int64) error {
	return unix.Fallocate(int(w.file.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, at, n)
}

// forget gives the budget back what a slot had.
func (w *Window) forget(i int) {
	size := w.backed[i].front + w.backed[i].stage
	w.budget.give(w.charge(w.held) - w.charge(w.held-size))
	w.backed[i], w.held = backing{}, w.held-size
}
