package journal

import (
	"slices"
	"time"
)

// drift is how far two clocks may run apart, per time: 200 parts in a million.
const drift = 5000

// offset is the measured difference of two clocks, as an interval.
type offset struct {
	// Ahead is how much must be added to the source's time to get the target's.
	Ahead time.Duration
	// Bound is the greatest error of Ahead; 0 means not measured.
	Bound time.Duration
	At    time.Time
}

// measure makes an offset of the four times of an exchange: sent and back on
// the target's clock, received and replied on the source's.
func measure(sent, received, replied, back time.Time) offset {
	rtt := back.Sub(sent) - replied.Sub(received)
	return offset{
		Ahead: (sent.Sub(received) + back.Sub(replied)) / 2,
		Bound: max(rtt/2, time.Microsecond),
		At:    back,
	}
}

// best is the tightest of some measurements at time now, each widened by what
// the clocks may have drifted since.
func best(ms []offset, now time.Time) offset {
	if len(ms) == 0 {
		return offset{}
	}
	return slices.MinFunc(ms, func(a, b offset) int {
		return int(a.widened(now).Bound - b.widened(now).Bound)
	}).widened(now)
}

func (o offset) widened(now time.Time) offset {
	if o.Bound > 0 {
		o.Bound += now.Sub(o.At) / drift
	}
	return o
}

// target is a source time on the target's clock.
func (o offset) target(t time.Time) time.Time { return t.Add(o.Ahead).UTC() }
