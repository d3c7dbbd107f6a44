package capture

import (
	"context"
	"fmt"
	"testing"
	"time"

	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/seedtest"
)

// The journal has frames that the stream then loses, of a capturer that died
// before it knew that the stream had had them: its next life gives their numbers
// to others, which the journal refuses. Whatever was kept, the group finds its
// way back by itself.
func TestTheJournalHasWhatTheStreamLostBeforeTheCapturerKnew(t *testing.T) {
	for _, c := range []struct {
		name     string
		closed   bool // in order, and then the machine boots: there is no window
		again    bool // the next life is killed, too, before the journal was heard
		catchUp  bool // the next life has published as much as was lost
		overtake bool // ... more than that
		forgot   int  // epochs that are forgotten as well
	}{
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
			t.Run(fmt.Sprintf("%s/%d", c.name, n), func(t *testing.T) {
				w := newWorld(t, seedtest.Seed(t))
				b := w.bus
				b.with(func() { b.oracles, b.dense = nil, c.forgot == 0 })
				w.cfg.AckTimeout = time.Minute
				buf, k := make([]byte, 64<<10), uint64(0)
				one := func() {
					k++
					fill(buf, stamp(0, k))
					if err := w.g.guests.write(0, buf, int64(k%16)*int64(len(buf))); err != nil {
						t.Fatal(err)
					}
				}
				more := func(n int) { // frames, each of which the stream has
					for range n {
						var last uint64
						b.with(func() { last = uint64(b.last) })
						one()
						w.eventually("a frame at the stream", func() (ok bool) { b.with(func() { ok = uint64(b.last) > last }); return ok })
					}
				}
				w.up()
				w.settle()
				b.with(func() { b.mute = true })
				more(n)
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
				w.eventually("attached", func() bool { return w.g.Status().State != event.Detached })
				switch {
				case c.catchUp:
					w.eventually("all sent again", func() bool { s := w.g.Status(); return s.DirtyBytes == 0 && s.Pending == 0 })
					for behind := true; behind; b.with(func() { behind = b.last < b.journal.No }) {
						more(1)
					}
				case c.overtake:
					more(n + 1)
				default:
					more(1)
				}
				if c.again {
					w.crash()
					w.up()
					w.eventually("attached", func() bool { return w.g.Status().State != event.Detached })
				}
				if c.catchUp { // the journal's word seems to be of frames that stand here, too
					b.heal()
					w.eventually("the journal's word", func() bool { return w.g.Status().Durable > 0 })
					time.Sleep(5 * w.cfg.ActivityEvery)
				}
				w.settle()
				more(2)
				w.settle()
				w.end()
			})
		}
	}
}
