package capture

import (
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/admission"
	"tidemark.dev/pkg/seedtest"
)

// The journal comes back with less than it had reported as durable: a flipped bit at
// the end of its log looks to it as if nothing had been written there. Capture knows
// better, says so once, and sends everything again.
func TestAJournalThatLostHistoryIsReported(t *testing.T) {
	w := newWorld(t, seedtest.Seed(t))
	w.bus.with(func() { w.bus.oracles = nil })
	a := &alarms{recorder: &w.log, raised: map[AlarmKind]int{}}
	w.deps.Events = a
	w.up()
	w.settle()
	put := func(b byte) {
		buf := make([]byte, 4096)
		fill(buf, uint64(b))
		if err := w.g.guests.write(0, buf, int64(b)*4096); err != nil {
			t.Fatal(err)
		}
		w.settle()
	}
	put(1)
	if n := a.count(AlarmWentBack); n != 0 {
		t.Fatalf("%d alarms, and nothing happened", n)
	}
	var old admission.State
	var images [][]byte
	w.bus.with(func() {
		old = w.bus.journal
		for _, img := range w.bus.images {
			images = append(images, append([]byte(nil), img...))
		}
	})
	put(2)
	put(3)
	w.bus.with(func() {
		w.bus.journal = old
		for d := range images {
			copy(w.bus.images[d], images[d])
		}
		w.bus.frames = map[cdp.FrameNo][]byte{}
	})
	w.eventually("the alarm", func() bool { return a.count(AlarmWentBack) == 1 })
	put(4)
	if n := a.count(AlarmWentBack); n != 1 {
		t.Errorf("the same loss was reported %d times", n)
	}
	w.end()
}
