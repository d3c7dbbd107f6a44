package pointtime

import (
	"time"

	"tidemark.dev/pkg/cdp"
)

// Reading is one look at the target's clock.
type Reading struct {
	// Wall is the time of day. It may step.
	Wall time.Time
	// Ran is how much time has passed since some moment. It never steps. It was read at
	// most Within before or after Wall.
	Ran, Within time.Duration
}

// Stepped is how far the time of day has stepped between two readings.
func (r Reading) Stepped(later Reading) time.Duration {
	return later.Wall.Round(0).Sub(r.Wall.Round(0)) - (later.Ran - r.Ran)
}

// leastStep is the smallest step that can be distinguished from the time between two
// readings.
const leastStep = 50 * time.Millisecond

// drift is how far two clocks may run apart, per time: 200 parts in a million.
const drift = 5000

// century is more than two clocks can be apart.
const century = 100 * 365 * 24 * time.Hour

// Offset is the measured difference of two clocks, as an interval.
type Offset struct {
	// Ahead is how much must be added to the source's time to get the target's.
	Ahead time.Duration
	// Bound is the greatest error of Ahead; 0 means not measured.
	Bound time.Duration
	// At is when it was measured.
	At Reading
}

// Measure makes an offset of the four times of an exchange: sent and back on the
// target's clock, received and replied on the source's. Invalid: the source says
// that it held the question longer than the exchange took, or less than no time.
func Measure(sent Reading, received, replied time.Time, back Reading) (Offset, error) {
	took, held := back.Ran+back.Within-(sent.Ran-sent.Within), replied.Sub(received)
	if held < 0 || held > took {
		return Offset{}, cdp.Errorf(cdp.Invalid, "measure clock", "", "the source says that its answer took it %v, and the whole exchange took %v", held, took).
			WithHint("its clock was set just now, or it does not tell the truth")
	}
	answered := back.Wall.Round(0).Sub(replied)
	if answered.Abs() > century {
		return Offset{}, cdp.Errorf(cdp.Invalid, "measure clock", "", "the source says that it is %s", replied.UTC().Format(time.RFC3339)).
			WithHint("set the source's clock (NTP)")
	}
	asked := back.Wall.Round(0).Add(-took).Sub(received) // as the clock is now, should it have stepped since
	return Offset{
		Ahead: (asked + answered) / 2,
		Bound: max((took-held)/2, time.Microsecond),
		At:    back,
	}, nil
}

// now is the offset at a later reading: wider, for the clocks may have drifted, and
// without what the target's clock has stepped.
func (o Offset) now(at Reading) Offset {
	if o.Bound > 0 {
		if d := o.At.Stepped(at); d.Abs() >= leastStep {
			o.Ahead += d
		}
		o.Bound += max(0, at.Ran-o.At.Ran) / drift
		o.At = at
	}
	return o
}

// Target is a source time on the target's clock.
func (o Offset) Target(t time.Time) time.Time { return t.Add(o.Ahead).UTC() }

// maxMeasured is how many measurements are kept.
const maxMeasured = 16

// Offsets are the measurements of one source that agree with each other, the newest
// last.
type Offsets []Offset

// Add adds a measurement. stepped is how far the clocks moved against each other if
// it contradicts older ones, which are dropped then; 0 if it does not.
func (all Offsets) Add(m Offset) (kept Offsets, stepped time.Duration) {
	for _, o := range all {
		was := o.now(m.At)
		if d := m.Ahead - was.Ahead; d.Abs() > was.Bound+m.Bound {
			stepped = d
			continue
		}
		kept = append(kept, o)
	}
	kept = append(kept, m)
	return kept[max(0, len(kept)-maxMeasured):], stepped
}

// Best is the tightest measurement as of a reading; the zero value without any.
func (all Offsets) Best(at Reading) (best Offset) {
	for _, o := range all {
		if o = o.now(at); best.Bound == 0 || o.Bound < best.Bound {
			best = o
		}
	}
	return best
}
