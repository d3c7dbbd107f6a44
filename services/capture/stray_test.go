package capture

import (
	"context"
	"fmt"
	"testing"
	"time"

	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/seedtest"
)

// The journal has frames that the stream then loses, of a capturer that died
// before it knew that the stream had had them: its next life gives their numbers
// to others, which the journal refuses. Whatever was kept, the group finds its
// way back by itself.
func TestTheJournalHasWhatTheStreamLostBeforeTheCapturerKnew(t *testing.T) {
	for _, c := range []strayCase{
		{name: "killed"},
		{name: "killed twice", again: true},
		{name: "killed, and overtaken", overtake: true},
		{name: "killed, and its epoch was lost", forgot: 2},
		{name: "killed twice, and epochs were lost", again: true, forgot: 4},
		{name: "booted", closed: true},
		{name: "booted, and overtaken", closed: true, overtake: true},
		{name: "booted, killed, and caught up", closed: true, again: true, catchUp: true},
		{name: "booted, killed, and epochs were lost", closed: true, again: true, overtake: true, forgot: 4},
	} {
		for _, n := range []int{1, 4} {
			t.Run(fmt.Sprintf("%s/%d", c.name, n), func(t *testing.T) { (&stray{world: newWorld(t, seedtest.Seed(t))}).play(t, c, n) })
		}
	}
}

type strayCase struct {
	name     string
	closed   bool // in order, and then the machine boots: there is no window
	again    bool // the next life is killed, too, before the journal was heard
	catchUp  bool // the next life has published as much as was lost
	overtake bool // ... more than that
	forgot   int  // epochs that are forgotten as well
}

// stray is a world of one guest that writes on demand.
type stray struct {
	*world
	buf []byte
	k   uint64
}

// play has n frames lost by the stream that the journal has.
func (w *stray) play(t *testing.T, c strayCase, n int) {
	b := w.bus
	b.with(func() { b.oracles, b.dense = nil, c.forgot == 0 })
	w.cfg.AckTimeout = time.Minute
	w.buf = make([]byte, 64<<10)
	attached := func() bool { return w.g.Status().State != event.Detached }
	w.up()
	w.settle()
	b.with(func() { b.mute = true })
	w.more(n)
	w.eventually("the frames at the journal", func() (ok bool) { b.with(func() { ok = b.journal.No == b.last }); return ok })
	if c.closed {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := w.g.Close(ctx); err != nil {
			t.Fatal(err)
		}
		w.deps.Boot += "'"
	} else {
		w.crash()
	}
	b.with(func() { b.linkDown = true })
	b.lose(n)
	b.forget(c.forgot)
	b.with(func() { b.mute = false })
	w.up()
	w.eventually("attached", attached)
	switch {
	case c.catchUp:
		w.eventually("all sent again", func() bool { s := w.g.Status(); return s.DirtyBytes == 0 && s.Pending == 0 })
		for behind := true; behind; b.with(func() { behind = b.last < b.journal.No }) {
			w.more(1)
		}
	case c.overtake:
		w.more(n + 1)
	default:
		w.more(1)
	}
	if c.again {
		w.crash()
		w.up()
		w.eventually("attached", attached)
	}
	if c.catchUp { // the journal's word seems to be of frames that the stream has, too
		b.heal()
		w.eventually("the journal's word", func() bool { return w.g.Status().Durable > 0 })
		time.Sleep(5 * w.cfg.ActivityEvery)
	}
	w.settle()
	w.more(2)
	w.settle()
	w.end()
}

// The stream loses frames in the middle, as when one of its messages is damaged, that
// the journal does not have and the window has given up. Only regions that were
// written lately are sent again.
func TestALostFrameCostsItsRegionsOnly(t *testing.T) {
	w := &stray{world: newWorld(t, seedtest.Seed(t)), buf: make([]byte, 64<<10)}
	b := w.bus
	sent := 0
	b.with(func() {
		b.oracles = nil
		b.watch = func(f frame.Frame) error {
			for i := range f.Records {
				sent += int(f.Record(i).Length)
			}
			return nil
		}
	})
	w.up()
	w.settle()
	w.more(1)
	w.settle()
	for round := range 3 {
		b.with(func() { sent, b.linkDown = 0, true })
		w.more(3 * w.cfg.Slots)
		b.with(func() { delete(b.frames, b.journal.No+1); b.linkDown = false })
		w.eventually("it is noticed", func() (ok bool) { b.with(func() { ok = b.recreated > round }); return ok })
		w.settle()
		b.with(func() {
			if most := disks * diskSize / 2; sent > most {
				t.Errorf("round %d: %d bytes were sent, and the disks have %d", round, sent, disks*diskSize)
			}
		})
	}
	w.end()
}

// more writes n frames, each of which the stream then has.
func (w *stray) more(n int) {
	w.t.Helper()
	for range n {
		var last uint64
		w.bus.with(func() { last = uint64(w.bus.last) })
		w.k++
		fill(w.buf, stamp(0, w.k))
		if err := w.g.guests.write(0, w.buf, int64(w.k%16)*int64(len(w.buf))); err != nil {
			w.t.Fatal(err)
		}
		w.eventually("a frame at the stream", func() (ok bool) { w.bus.with(func() { ok = uint64(w.bus.last) > last }); return ok })
	}
}
