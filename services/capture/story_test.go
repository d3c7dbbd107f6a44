package capture

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"tidemark.dev/pkg/seedtest"
)

// Everything that can go wrong, in any order, under two guests that write all
// the time. No write fails; every consistent frame is a state the disks were
// in; in the end the journal is the disks.
func TestWhateverFailsTheJournalBecomesTheDisks(t *testing.T) {
	seed := seedtest.Seed(t)
	stories := 4
	if testing.Short() {
		stories = 2
	}
	for story := range stories {
		t.Run(strconv.Itoa(story), func(t *testing.T) {
			s := seed + uint64(story)
			rng := rand.New(rand.NewPCG(s, 3))
			w := newWorld(t, s)
			w.up()
			w.write(time.Duration(rng.IntN(300)) * time.Microsecond)
			b := w.bus
			for range 60 {
				what := rng.IntN(14)
				switch {
				case w.busFault(rng, what):
				case what == 6, what == 7:
					w.still(func() { w.crash(); w.up() })
				case what == 8:
					w.still(func() {
						ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rng.IntN(50))*time.Millisecond)
						defer cancel()
						if err := w.g.Close(ctx); err != nil {
							t.Error(err)
						}
						if rng.IntN(2) == 0 { // and the machine boots
							w.deps.Boot = fmt.Sprintf("boot-%d", rng.Uint32())
						}
						w.up()
					})
				case what == 9:
					w.g.Mark(rng.IntN(2) == 0)
				case what == 10:
					b.heal()
				case what == 11:
					w.settle()
				case what == 12:
					b.with(func() { b.mute = !b.mute })
				case what == 13:
					powerLoss(rng, b, w.still, w.crash, w.up)
				}
				if err := b.err(); err != nil {
					t.Fatalf("after step %d: %v", what, err)
				}
				time.Sleep(time.Duration(rng.IntN(20)) * time.Millisecond)
			}
			w.settle()
			w.end()
		})
	}
}

// busFault makes or ends a fault of stream and journal, if what is one.
func (w *world) busFault(rng *rand.Rand, what int) bool {
	b := w.bus
	switch what {
	case 0:
		b.with(func() { b.down = !b.down })
	case 1:
		b.with(func() { b.linkDown = !b.linkDown })
	case 2:
		b.with(func() { b.lossy = float64(rng.IntN(3)) * 0.1 })
	case 3:
		b.with(func() { b.slow = time.Duration(rng.IntN(5)) * time.Millisecond })
	case 4:
		b.with(func() { b.limit = 1 + rng.IntN(20) })
	case 5:
		b.lose(1 + rng.IntN(12))
	default:
		return false
	}
	return true
}

// powerLoss: the stream and whoever gives out epochs lose what was newest, and
// perhaps the capturer dies with them, without having heard for a while what they
// had.
func powerLoss(rng *rand.Rand, b *bus, still func(func()), crash, up func()) {
	if rng.IntN(3) == 0 {
		b.lose(1 + rng.IntN(12))
		b.forget(rng.IntN(4))
		return
	}
	if rng.IntN(2) == 0 {
		b.heal()
	}
	b.with(func() { b.mute = true })
	time.Sleep(time.Duration(rng.IntN(20)) * time.Millisecond)
	still(func() {
		crash()
		b.lose(1 + rng.IntN(6))
		b.forget(rng.IntN(4))
		b.with(func() { b.mute = false })
		up()
	})
}

func (w *world) total() int64 {
	w.g.order.mu.Lock()
	defer w.g.order.mu.Unlock()
	return w.g.order.total
}
