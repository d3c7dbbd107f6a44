package capture

import (
	"slices"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/seedtest"
)

// answered waits until the journal has a point for each request, and one for each.
func (w *world) answered(want ...cdp.RequestID) {
	w.t.Helper()
	w.eventually("a point for each request", func() bool {
		w.bus.mu.Lock()
		defer w.bus.mu.Unlock()
		got := slices.DeleteFunc(slices.Clone(w.bus.answers), func(r cdp.RequestID) bool { return r == 0 })
		slices.Sort(got)
		return slices.Equal(got, want)
	})
}

// Requests at one moment get frames of their own, and a frame that is sealed again
// after a crash still answers its request.
func TestEachRequestHasAFrame(t *testing.T) {
	w := newWorld(t, seedtest.Seed(t))
	w.up()
	w.point()
	w.bus.with(func() { w.bus.down = true })
	for r := range 3 {
		if p, err := w.g.Answer(cdp.RequestID(r + 1)); err != nil || p.Request != cdp.RequestID(r+1) {
			t.Fatal(p, err)
		}
	}
	w.crash()
	w.bus.with(func() { w.bus.down = false })
	w.up()
	w.answered(1, 2, 3)
	w.end()
}

// Requests that wait for one cycle get a point each, of its moment; the command that
// comes again changes nothing.
func TestEachRequestForACycleHasAPoint(t *testing.T) {
	f, _ := cycleWorld(t)
	f.up()
	f.cycle()
	for _, r := range []cdp.RequestID{1, 2, 2, 3} {
		if err := f.g.Cycle(r); err != nil {
			t.Fatal(err)
		}
	}
	f.eventually("a point for each request", func() bool {
		f.bus.mu.Lock()
		defer f.bus.mu.Unlock()
		return !slices.ContainsFunc([]cdp.RequestID{1, 2, 3}, func(r cdp.RequestID) bool { return !slices.Contains(f.bus.answers, r) })
	})
	f.end()
}
