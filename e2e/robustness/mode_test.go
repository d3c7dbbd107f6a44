package robustness

import (
	"fmt"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
)

// The mode is changed under load, forth and back.
func TestModeChange(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "rollback")
	w.guests.Start()
	w.protected()
	for _, mode := range []cdp.JournalMode{cdp.RollForward, cdp.Rollback, cdp.RollForward, cdp.Rollback} {
		w.apply(string(mode))
		before, err := w.status()
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		w.eventually("base stands where "+string(mode)+" wants it", 20*time.Second, func() error {
			s, err := w.status()
			if err != nil {
				return err
			}
			follows := s.Bounds.Base > before.Bounds.Head
			if s.Mode != mode || follows != (mode == cdp.Rollback) || s.Bounds.Head <= before.Bounds.Head {
				return fmt.Errorf("the mode is %s, %v; before %v", s.Mode, s.Bounds, before.Bounds)
			}
			return nil
		})
		w.validate(0)
	}
	w.settle()
	w.oneChain()
}
