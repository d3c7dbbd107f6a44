package window

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/seedtest"
)

const memorySlots = 8

// shm is a directory on tmpfs, where a store into a hole shows as a page.
func shm(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "tidemark-window-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func openWithin(t *testing.T, path string, b *Budget) *Window {
	t.Helper()
	w, _, err := Open(path, id, memorySlots, b)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

// occupied is what a window's file takes of tmpfs, in bytes.
func occupied(t *testing.T, w *Window) int64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(w.Path(), &st); err != nil {
		t.Fatal(err)
	}
	return st.Blocks * 512
}

// fill appends writes of n bytes to a new frame until it is full, and closes and
// seals it. It is false if there was no memory for all of it.
func fill(w *Window, n int) bool {
	if !w.Begin(1) {
		return false
	}
	data := make([]byte, n)
	for {
		if _, _, full := w.OpenFrame(); full {
			w.End(0, 1)
			w.Seal(w.Last(), frame.Header{Epoch: 1, No: 1, First: 1}, nil)
			return true
		}
		if !w.Room(n) {
			return false
		}
		w.Append(frame.Record{Length: uint32(n), Kind: frame.Write}, data, 1)
	}
}

// A window that is opened and little used stays small, one under load grows, and
// what it no longer needs goes back.
func TestAWindowIsAsLargeAsItsLoad(t *testing.T) {
	budget := NewBudget(64 << 20)
	w := openWithin(t, filepath.Join(shm(t), "w"), budget)
	for range 10 * memorySlots { // an idle group: one frame after another
		w.Begin(1)
		w.End(frame.Consistent|frame.Marker, 1)
		w.Seal(w.Last(), frame.Header{Epoch: 1, No: 1, First: 1}, nil)
		w.Release(w.Last())
	}
	if n := occupied(t, w); n > Floor+64<<10 || budget.Taken() != 0 {
		t.Fatalf("an idle window takes %d bytes, %d of them of the budget", n, budget.Taken())
	}
	for range memorySlots {
		if !fill(w, 4096) {
			t.Fatal("no memory")
		}
	}
	if n := occupied(t, w); n < memorySlots*frame.TargetPayload {
		t.Fatalf("a full window takes %d bytes", n)
	}
	w.Release(w.Last())
	for range memorySlots {
		w.Trim()
	}
	if n := occupied(t, w); n > 2*slotSize || budget.Taken() > slotSize {
		t.Fatalf("a window that is idle again takes %d bytes, %d of the budget", n, budget.Taken())
	}
	w.Close()
	if budget.Taken() != 0 {
		t.Fatalf("%d bytes of the budget are taken by nobody", budget.Taken())
	}
}

// A window that fills up leaves as much as it takes to the others. Where nothing is
// left, each window still has room for one frame at a time, and more once others are
// done.
func TestWindowsShareABudget(t *testing.T) {
	dir := shm(t)
	budget := NewBudget(8 * slotSize)
	busy, other := openWithin(t, filepath.Join(dir, "busy"), budget), openWithin(t, filepath.Join(dir, "other"), budget)
	frames := 0
	for fill(busy, 4096) {
		frames++
	}
	if left := budget.limit - budget.Taken(); frames < 4 || frames >= memorySlots || left < 3*slotSize {
		t.Fatalf("%d frames in a budget of eight slots, %d bytes are left", frames, left)
	}
	if !fill(other, 4096) {
		t.Fatal("no memory for a frame beside it")
	}
	other.Release(other.Last())
	other.Trim()
	other.Trim()
	taken := budget.limit - budget.Taken()
	budget.owe(taken) // a third window, say
	for range 3 * memorySlots {
		if !other.Begin(1) || !other.Room(frame.MaxWrite) {
			t.Fatal("no memory for a single write")
		}
		other.Append(frame.Record{Length: frame.MaxWrite, Kind: frame.Write}, make([]byte, frame.MaxWrite), 1)
		other.End(0, 1)
		other.Release(other.Last())
	}
	budget.give(taken)
	busy.End(0, 1)
	busy.Release(busy.Last())
	busy.Trim()
	busy.Trim()
	if !fill(other, 4096) {
		t.Fatal("no memory after the other has given up its own")
	}
}

// A random life never stores anything where no memory was reserved, and finds the
// same reservation after a restart.
func TestNothingIsStoredInAHole(t *testing.T) {
	rng := rand.New(rand.NewPCG(seedtest.Seed(t), 3))
	path := filepath.Join(shm(t), "w")
	l := &life{t: t, path: path}
	l.w = mustOpen(t, path, id, lifeSlots, false)
	for l.step = range 2000 {
		l.act(rng)
		const edges = 3 * page // of a slot: front and stage begin and end within pages
		if n, most := occupied(t, l.w), l.w.slotAt(0)+l.w.held+lifeSlots*edges; n > most {
			t.Fatalf("step %d: the file takes %d bytes, and %d were reserved", l.step, n, most)
		}
	}
	l.check()
}

// A window of the version before, whose slots follow from their ordinals and all
// have memory, is taken over.
func TestAWindowOfTheVersionBeforeIsTakenOver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "w")
	w := mustOpen(t, path, id, 4, false)
	w.free = []int{0, 3, 2, 1} // ordinal 1 goes to slot 1
	for range 3 {
		if !fill(w, 4096) {
			t.Fatal("no memory")
		}
	}
	*w.u32(8) = versionRing
	w.Close()
	w = mustOpen(t, path, id, 4, true)
	if w.First() != 1 || w.Last() != 3 || w.Free() != 1 {
		t.Fatalf("it holds %d..%d, %d free", w.First(), w.Last(), w.Free())
	}
}
