package pointtime_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/pointtime"
	"tidemark.dev/pkg/seedtest"
)

func TestStamp(t *testing.T) {
	now := time.Unix(1_800_000_000, 0).UTC()
	ms := time.Millisecond
	o := pointtime.Offset{Ahead: time.Hour, Bound: ms, At: pointtime.Reading{Wall: now}}
	for name, c := range map[string]struct {
		prev, told  time.Duration // on the target's clock, before now; prev 0: there is none
		want, bound time.Duration
		doubtful    bool
	}{
		"as it should be":                                 {10 * time.Second, 5 * time.Second, 5 * time.Second, ms, false},
		"the first":                                       {0, 5 * time.Second, 5 * time.Second, ms, false},
		"the first, delayed by a link":                    {0, 25 * time.Hour, 25 * time.Hour, ms, false},
		"ahead within the error":                          {10 * time.Second, -ms, 0, 2 * ms, false},
		"25 hours in the future":                          {10 * time.Second, -25 * time.Hour, 0, 25*time.Hour + ms, true},
		"ten minutes back":                                {10 * time.Second, 10 * time.Minute, 10*time.Second - ms, 9*time.Minute + 50*time.Second + 2*ms, true},
		"at the same moment":                              {10 * time.Second, 10 * time.Second, 10*time.Second - ms, 2 * ms, false},
		"the target's clock stepped back":                 {-10 * time.Minute, ms, -10*time.Minute - ms, 10*time.Minute + 3*ms, true},
		"a source that says it is from two centuries ago": {10 * time.Second, 200 * 24 * time.Hour * 365, 10*time.Second - ms, 100*365*24*time.Hour + ms, true},
	} {
		var prev *cdp.Point
		if c.prev != 0 {
			prev = &cdp.Point{Time: now.Add(-c.prev), Bound: 1}
		}
		p := pointtime.Stamp(prev, cdp.Point{Time: now.Add(-c.told - time.Hour)}, o, now)
		if !p.Time.Equal(now.Add(-c.want)) || p.Bound != c.bound || p.Doubtful != c.doubtful {
			t.Errorf("%s: %v before now ± %v, doubtful %v", name, now.Sub(p.Time), p.Bound, p.Doubtful)
		}
	}
}

// A point keeps the time and the error that it was stored with, whatever is
// measured later; one that was stored unmeasured gets what is known now.
func TestAPointKeepsItsTime(t *testing.T) {
	source, now := time.Unix(1000, 0).UTC(), time.Unix(1_000_000, 0)
	list := func(p cdp.Point, o pointtime.Offset) cdp.Point { return pointtime.List([]cdp.Point{p}, o, now)[0] }
	then := pointtime.Stamp(nil, cdp.Point{Time: source}, pointtime.Offset{Ahead: time.Hour, Bound: time.Millisecond}, now)
	if want := source.Add(time.Hour); !then.Time.Equal(want) || then.Bound != time.Millisecond {
		t.Fatal(then)
	}
	later := pointtime.Offset{Ahead: 2 * time.Hour, Bound: time.Second}
	if p := list(then, later); !p.Time.Equal(then.Time) || p.Bound != then.Bound {
		t.Error(p)
	}
	unmeasured := pointtime.Stamp(nil, cdp.Point{Time: source}, pointtime.Offset{}, now)
	if p := list(unmeasured, later); !p.Time.Equal(source.Add(2*time.Hour)) || p.Bound != time.Second {
		t.Error(p)
	}
}

// The life of a target, with clocks of both sides that step, measurements that come
// and go, restarts, delayed points and a source that lies. Whatever happens, the
// points that are listed never run backwards, none is newer than anything this site's
// clock has shown, and the moment at which a point was made is inside its error, as
// long as the source tells the truth and was measured since its clock stepped.
func TestTimesOfPointsNeverRunBackwards(t *testing.T) {
	seed := seedtest.Seed(t)
	for i := range 150 {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		w := &life{rng: rng, c: newTarget(), lies: i%2 == 1}
		w.highest = w.c.Wall
		for range 60 {
			w.step(t)
			listed := pointtime.List(slices.Clone(w.points), w.all.Best(w.c.Reading), w.c.Wall)
			for k, p := range listed {
				if k > 0 && p.Time.Before(listed[k-1].Time) {
					t.Fatalf("life %d: point %d is at %v, the one before it at %v", i, k, p.Time, listed[k-1].Time)
				}
				if over := p.Time.Sub(w.highest); over > time.Duration(len(listed))*time.Millisecond {
					t.Fatalf("life %d: point %d is %v in the future", i, k, over)
				}
				if p.Bound < 0 {
					t.Fatalf("life %d: the error of point %d is %v", i, k, p.Bound)
				}
			}
		}
	}
}

type life struct {
	rng     *rand.Rand
	c       *target
	behind  time.Duration // the source's clock
	lies    bool
	known   bool // the source's clock was measured since it stepped last
	all     pointtime.Offsets
	points  []cdp.Point
	highest time.Time // that the target's clock has shown
}

func (w *life) step(t *testing.T) {
	far := func() time.Duration { return time.Duration(w.rng.Int64N(int64(50*time.Hour))) - 25*time.Hour }
	w.c.pass(time.Duration(w.rng.Int64N(int64(20 * time.Second))))
	switch w.rng.IntN(12) {
	case 0:
		w.behind, w.known = w.behind+far(), false
	case 1:
		d := far()
		w.c.Wall, w.behind = w.c.Wall.Add(d), w.behind+d
	case 2:
		w.all, w.known = nil, false // the service was restarted
	case 3, 4:
		behind := w.behind
		if w.lies && w.rng.IntN(2) == 0 {
			behind += far()
		}
		m, err := w.c.exchange(w.rng, behind)
		if err != nil {
			t.Fatal(err)
		}
		w.all, _ = w.all.Add(m)
		w.known = true
	default:
		w.arrives(t, far)
	}
	if w.c.Wall.After(w.highest) {
		w.highest = w.c.Wall
	}
}

// arrives has a point arrive that was made just now.
func (w *life) arrives(t *testing.T, far func() time.Duration) {
	made := w.c.Wall
	told := w.c.Wall.Add(-w.behind)
	w.c.pass(time.Duration(w.rng.Int64N(int64(time.Second))))
	if w.lies && w.rng.IntN(3) == 0 {
		told = told.Add(far())
	}
	var prev *cdp.Point
	o := w.all.Best(w.c.Reading)
	if n := len(w.points); n > 0 {
		prev = &pointtime.List([]cdp.Point{w.points[n-1]}, o, w.c.Wall)[0]
	}
	p := pointtime.Stamp(prev, cdp.Point{Time: told}, o, w.c.Wall)
	if off := p.Time.Sub(made).Abs(); w.known && !w.lies && off > p.Bound {
		t.Fatalf("a point that was made at %v is stored with %v ± %v", made, p.Time, p.Bound)
	}
	w.points = append(w.points, p)
}
