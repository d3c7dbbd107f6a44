package capture

import (
	"context"
	"testing"
	"time"
)

// The clock of a cbt job's source is set back: the points of the next cycles have the
// times of their snapshots, and not that of the last one before.
func TestTimesOfCyclesDoNotFreezeWhenTheClockIsSetBack(t *testing.T) {
	f, _ := cycleWorld(t)
	f.put(0, 0, 4096)
	f.up()
	f.cycle()
	var last time.Time
	for _, ahead := range []time.Duration{0, time.Hour, 0, -time.Hour, 0} {
		f.v.faults(func() { f.v.ahead = ahead })
		f.put(0, 8192, 4096)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		p, err := f.g.CyclePoint(ctx)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		made := p.Time.Add(-ahead)
		if made.Before(last) || made.After(time.Now()) {
			t.Errorf("with a clock that is %v ahead, a point after %v has the time %v", ahead, last, p.Time)
		}
		last = made
	}
	f.cycle()
	f.end()
}
