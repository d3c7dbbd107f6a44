package scheduler

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestBeat holds the cadence to what it promises, under any order of changes: a
// running job is marked within its interval plus the keeper's delay, never
// twice at once, and a stopped or unknown one never.
func TestBeat(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := newBeat()
		now := time.Unix(1000, 0)
		names := []string{"a", "b", "c"}
		type model struct {
			known, running, pending bool
			every                   time.Duration
			due                     time.Time // by when the next mark must be taken
		}
		m := map[string]*model{"a": {}, "b": {}, "c": {}}
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			n := rapid.SampledFrom(names).Draw(t, "job")
			x := m[n]
			switch rapid.IntRange(0, 4).Draw(t, "act") {
			case 0:
				x.known, x.every = true, time.Duration(rapid.IntRange(1, 60).Draw(t, "rpo"))*time.Second
				b.change(n, func(d *cadence) { d.known, d.every, d.next = true, x.every, now })
				x.due = now
			case 1:
				x.known = false
				b.change(n, func(d *cadence) { d.known = false })
			case 2:
				x.running = !x.running
				b.change(n, func(d *cadence) { d.running = x.running; d.next = now })
				x.due = now
			case 3:
				x.pending = false
				b.change(n, func(d *cadence) { d.pending = false })
			case 4:
				now = now.Add(time.Duration(rapid.IntRange(1, 90000).Draw(t, "ms")) * time.Millisecond)
			}
			marks, wait := b.take(now)
			got := map[string]bool{}
			for _, d := range marks {
				if got[d.Job] {
					t.Fatal("two marks at once", d.Job)
				}
				got[d.Job] = true
			}
			next := now.Add(idle)
			for n, x := range m {
				alive := x.known && x.running
				want := alive && !x.pending && !x.due.After(now)
				if got[n] != want {
					t.Fatalf("%s: marked %v, want %v (%+v)", n, got[n], want, x)
				}
				if alive && !x.due.After(now) {
					if x.due = x.due.Add(x.every); !x.due.After(now) {
						x.due = now.Add(x.every)
					}
				}
				x.pending = x.pending || want
				if alive && x.due.Before(next) {
					next = x.due
				}
			}
			if !now.Add(wait).Equal(next) {
				t.Fatalf("sleeps %v, next is in %v", wait, next.Sub(now))
			}
		}
	})
}
