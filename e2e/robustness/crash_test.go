package robustness

import (
	"testing"
	"time"

	"tidemark.dev/e2e/proc"
	"tidemark.dev/pkg/adapter/bus/bustest"
)

// Any process may be killed at any moment, one or all of them, or stand still
// for a while: every point that is offered is right, and in the end nothing
// that was answered is missing.
func TestCrash(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, mode string
		opts       []option
	}{
		{name: "rollback", mode: "rollback"},
		{name: "roll-forward", mode: "roll-forward"},
		{name: "up", mode: "rollback", opts: []option{upAsOne}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, c.mode, c.opts...)
			w.guests.Start()
			w.protected()
			for round := range *roundsFlag {
				w.crash(round)
				if round%6 == 5 && round < *roundsFlag-1 {
					w.settle()
					w.guests.Start()
				}
			}
			w.settle()
		})
	}
}

// crash is one fault, at a random moment.
func (w *world) crash(round int) {
	w.t.Helper()
	time.Sleep(w.some(1200))
	all := w.All()
	switch kind := w.rng.IntN(10); {
	case kind < 2 && w.Link != nil:
		// In the middle of messages: what has no answer is sent again.
		i := w.rng.IntN(3)
		x := []*bustest.Proxy{w.Link, w.ProdBus, w.DRBus}[i]
		w.t.Logf("round %d: %s drops its connections", round, []string{"the link", "the bus of prod", "the bus of dr"}[i])
		for range 1 + w.rng.IntN(5) {
			x.Cut()
			time.Sleep(w.some(100))
			x.Heal()
			time.Sleep(w.some(400))
		}
	case kind == 2:
		x, d := all[w.rng.IntN(len(all))], w.some(3000)
		w.t.Logf("round %d: %s stands still for %v", round, x.Name, d)
		x.Freeze()
		time.Sleep(d)
		x.Thaw()
	case kind == 3:
		w.t.Logf("round %d: all are killed", round)
		w.restart(all)
	default:
		n := 1 + w.rng.IntN(2)
		var some []*proc.Process
		for _, i := range w.rng.Perm(len(all))[:min(n, len(all))] {
			some = append(some, all[i])
		}
		for _, x := range some {
			w.t.Logf("round %d: %s is killed", round, x.Name)
		}
		w.restart(some)
	}
}

// restart kills processes at once, and starts them again.
func (w *world) restart(some []*proc.Process) {
	w.t.Helper()
	proc.Kill(some...)
	for _, x := range some {
		time.Sleep(w.some(400))
		if err := x.Start(); err != nil {
			w.t.Fatal(err)
		}
	}
}

// some is a random time, in milliseconds below n.
func (w *world) some(n int) time.Duration {
	return time.Duration(w.rng.IntN(n*1000)) * time.Microsecond
}
