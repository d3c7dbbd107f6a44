package robustness

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"tidemark.dev/e2e/robustness/sites"
)

// The journal's disk gets full: first down to the reserve, then to the last
// byte. The state says so, the guests feel nothing, nothing is lost, and it goes
// on by itself when there is space. Needs root.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	var dir string
	w := newWorld(t, "roll-forward", func(w *world, _ *sites.Config) {
		dir = filepath.Join(w.dir, "dr", "journal")
		smallDisk(t, dir, 1<<30)
	})
	w.guests.Start()
	w.protected()
	before := w.during(func() { time.Sleep(3 * time.Second) })
	t.Logf("before: %v", before)
	for _, c := range []struct {
		what string
		free int64
	}{{"the reserve is touched", 200 << 20}, {"the disk is full to the last byte", 0}} {
		remove := ballast(t, dir, c.free)
		pace := w.during(func() {
			took := w.eventually("the state says that the journal is full", 20*time.Second, func() error {
				s, err := w.status()
				if err == nil && (s.State != "full" || s.Reason == "") {
					err = fmt.Errorf("%s, %s", s.State, s.Reason)
				}
				return err
			})
			h, err := w.health()
			t.Logf("%s: told after %v: %s, %v, %v", c.what, took.Round(time.Millisecond), h.State, h.Problems, err)
			time.Sleep(2 * time.Second)
		})
		w.keepsPace(c.what, before, pace)
		if c.free > 0 {
			w.validate(0) // what is there can be read
		}
		head, err := w.status()
		if err != nil {
			t.Fatal(err)
		}
		remove()
		took := w.eventually("it goes on", 30*time.Second, func() error {
			s, err := w.status()
			if err == nil && (s.State != "receiving" || s.Bounds.Head <= head.Bounds.Head) {
				err = fmt.Errorf("%s, %s, at write %d", s.State, s.Reason, s.Bounds.Head)
			}
			return err
		})
		t.Logf("it goes on %v after there was space", took.Round(10*time.Millisecond))
		if w.Journal.Running() != nil {
			t.Fatal("the journal's process has ended")
		}
	}
	w.settle()
	w.oneChain()
}
