package pointtime

import (
	"time"

	"tidemark.dev/pkg/cdp"
)

const (
	// apart is how far the times of two points are apart at least: people see
	// milliseconds, and a time that is listed means one point.
	apart = time.Millisecond
	// tolerance is how far a time may be moved beyond its error without a doubt:
	// points that are made faster than they are apart push each other on.
	tolerance = time.Second
)

// Stamp gives a point that arrives now, with its time on the source's clock, its
// time on the target's. prev is the point before it as List shows it; nil: there is
// none. While nothing is measured the point keeps the source's time, and List
// corrects it.
func Stamp(prev *cdp.Point, p cdp.Point, o Offset, now time.Time) cdp.Point {
	if o.Bound == 0 {
		return p
	}
	latest := now.Round(0).UTC()
	told := o.Target(p.Time)
	p.Time = earlier(told, latest)
	if prev != nil {
		p.Time = later(p.Time, prev.Time.Add(apart))
	}
	moved := distance(p.Time, told)
	p.Bound = o.Bound + moved
	if p.Doubtful = moved > o.Bound+tolerance; p.Doubtful {
		// The source's word is worth nothing: the point was made between the one
		// before it and its arrival.
		p.Bound = max(p.Bound, latest.Sub(p.Time).Abs())
		if prev != nil {
			p.Bound = max(p.Bound, p.Time.Sub(prev.Time))
		}
	}
	return p
}

// List is how the points, oldest first, are shown: those that were stored before
// anything was measured get what is known now, between their neighbors. The others
// keep the time and the error that they were stored with, for what is measured later
// says less about then. It changes ps, and returns it.
func List(ps []cdp.Point, o Offset, now time.Time) []cdp.Point {
	told := make([]time.Time, len(ps))
	var floor, newest time.Time // newest of the measured
	for i := range ps {
		p := &ps[i]
		told[i] = p.Time
		if p.Bound == 0 {
			told[i] = o.Target(p.Time)
			p.Time = later(told[i], floor)
		} else {
			newest = later(newest, p.Time)
		}
		floor = p.Time
	}
	ceiling := later(now.Round(0).UTC(), newest)
	for i := len(ps) - 1; i >= 0; i-- {
		p := &ps[i]
		unmeasured := p.Bound == 0
		if unmeasured || i < len(ps)-1 { // the newest keeps its time, whatever clock it was
			p.Time = earlier(p.Time, ceiling)
		}
		if unmeasured && o.Bound > 0 {
			p.Bound = o.Bound + distance(p.Time, told[i])
		}
		ceiling = p.Time
	}
	return ps
}

// distance is at most a century, so that errors can be added.
func distance(a, b time.Time) time.Duration { return min(a.Sub(b).Abs(), century) }

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
