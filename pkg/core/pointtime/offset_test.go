package pointtime_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"tidemark.dev/pkg/core/pointtime"
	"tidemark.dev/pkg/seedtest"
)

// target is the target's clock: it can step, and counts the time that passes.
type target struct{ pointtime.Reading }

func newTarget() *target {
	return &target{pointtime.Reading{Wall: time.Unix(1_800_000_000, 0).UTC()}}
}

func (c *target) pass(d time.Duration) { c.Wall, c.Ran = c.Wall.Add(d), c.Ran+d }

// exchange asks a source, whose clock is so far behind, for its time.
func (c *target) exchange(rng *rand.Rand, behind time.Duration) (pointtime.Offset, error) {
	sent := c.Reading
	c.pass(time.Duration(rng.Int64N(int64(50 * time.Millisecond))))
	received := c.Wall.Add(-behind)
	c.pass(time.Duration(rng.Int64N(int64(10 * time.Millisecond))))
	replied := c.Wall.Add(-behind)
	c.pass(time.Duration(rng.Int64N(int64(50 * time.Millisecond))))
	return pointtime.Measure(sent, received, replied, c.Reading)
}

// Two clocks up to an hour apart, and a network that takes its time: the true offset
// is always inside the measured interval, whichever clock steps.
func TestTheTrueOffsetIsInsideTheBound(t *testing.T) {
	seed := seedtest.Seed(t)
	for i := range 10_000 {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		step := func() time.Duration { return time.Duration(rng.Int64N(int64(2*time.Hour))) - time.Hour }
		truth := step() // target minus source
		c := newTarget()
		var all pointtime.Offsets
		for range 1 + rng.IntN(5) {
			if rng.IntN(3) == 0 { // the target's clock is set
				d := step()
				c.Wall, truth = c.Wall.Add(d), truth+d
				if len(all) > 0 {
					o := all.Best(c.Reading)
					if d := (o.Ahead - truth).Abs(); d > o.Bound {
						t.Fatalf("case %d: after a step of the target the offset %v is known as %v ± %v", i, truth, o.Ahead, o.Bound)
					}
				}
			}
			stepped := time.Duration(0)
			if rng.IntN(3) == 0 { // the source's
				stepped = step()
				truth += stepped
			}
			m, err := c.exchange(rng, truth)
			if err != nil {
				t.Fatal(err)
			}
			first := len(all) == 0
			var found time.Duration
			if all, found = all.Add(m); !first && (found-stepped).Abs() > 200*time.Millisecond {
				t.Fatalf("case %d: a step of %v was taken for %v", i, stepped, found)
			}
			c.pass(time.Second)
		}
		o := all.Best(c.Reading)
		if d := (o.Ahead - truth).Abs(); d > o.Bound || o.Bound == 0 {
			t.Fatalf("case %d: offset %v is measured as %v ± %v", i, truth, o.Ahead, o.Bound)
		}
	}
}

// What a source says of its clock is refused if it cannot be true.
func TestAnImpossibleMeasurementIsRefused(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	sent := pointtime.Reading{Wall: now, Ran: time.Hour}
	back := pointtime.Reading{Wall: now.Add(10 * time.Millisecond), Ran: time.Hour + 10*time.Millisecond}
	for name, c := range map[string]struct {
		received, replied time.Time
		ok                bool
	}{
		"an hour behind":                  {now.Add(-time.Hour), now.Add(-time.Hour + time.Millisecond), true},
		"it replies before it was asked":  {now, now.Add(-time.Nanosecond), false},
		"a negative round trip":           {now, now.Add(11 * time.Millisecond), false},
		"a round trip of minus 25 hours":  {now, now.Add(25 * time.Hour), false},
		"the end of time":                 {time.Unix(0, 1<<63-1), time.Unix(0, 1<<63-1), false},
		"the beginning of time":           {time.Unix(0, -1<<63), time.Unix(0, -1<<63), false},
		"from the beginning to the end":   {time.Unix(0, -1<<63), time.Unix(0, 1<<63-1), false},
		"a battery that ran out: in 1970": {time.Unix(60, 0), time.Unix(60, 0), true},
	} {
		if o, err := pointtime.Measure(sent, c.received, c.replied, back); (err == nil) != c.ok || c.ok && o.Bound <= 0 {
			t.Errorf("%s: %+v %v", name, o, err)
		}
	}
}
