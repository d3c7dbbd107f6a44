package rpo_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/rpo"
)

var t0 = time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)

// obvious is the model: it keeps the whole past and looks at it anew each time.
type obvious struct {
	o    rpo.Objective
	past []verdict
}

type verdict struct {
	at     time.Time
	data   bool
	within bool
	failed bool
}

// status replays the past: bad from the first moment that was not within, until
// the first moment whose whole last Settle was within.
func (m *obvious) status() rpo.Status {
	st := rpo.NoData
	bad := -1 // index of the newest bad moment since the breach began
	for i, v := range m.past {
		switch {
		case !v.data:
			st, bad = rpo.NoData, -1
		case v.failed:
			st, bad = rpo.Failed, i
		case !v.within:
			st, bad = rpo.Breached, i
		case bad >= 0 && v.at.Sub(m.past[bad+1].at) >= m.o.Settle():
			st, bad = rpo.Met, -1
		case bad < 0:
			st = rpo.Met
		}
	}
	return st
}

func TestAgainstTheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := rpo.Objective{RPO: time.Duration(rapid.IntRange(1, 100).Draw(t, "rpo")) * time.Second}
		if rapid.Bool().Draw(t, "fails") {
			o.Fail = 2 * (o.RPO + o.Grace())
		}
		m := &obvious{o: o}
		var s rpo.State
		var point *cdp.Point
		now, open := t0, false
		var last time.Duration
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(1, 4000).Draw(t, "ms")) * time.Millisecond)
			running, fresh := rapid.IntRange(0, 30).Draw(t, "runs") > 0, false
			if rapid.IntRange(0, int(o.RPO/time.Second)).Draw(t, "point") == 0 {
				fresh = true
				point = &cdp.Point{Time: now.Add(-time.Duration(rapid.IntRange(0, 500).Draw(t, "late")) * time.Millisecond), Bound: time.Millisecond}
			}
			next, change := rpo.Step(s, o, rpo.Sample{Now: now, Running: running, Point: point})
			v := verdict{at: now, data: running && point != nil}
			if v.data {
				worst := next.Value + next.Bound
				v.failed = o.Fail > 0 && worst > o.Fail
				v.within = worst <= o.RPO+o.Grace()
			}
			m.past = append(m.past, v)
			if want := m.status(); next.Status != want {
				t.Fatalf("status %s, the model says %s (%+v)", next.Status, want, next)
			}
			switch { // breach and restored alternate, and follow the status
			case change == rpo.Breach && open, change == rpo.Restored && !open:
				t.Fatalf("%s out of turn", change)
			case change == rpo.Breach:
				open = true
			case change == rpo.Restored || next.Status == rpo.NoData:
				open = false
			}
			if open != next.Status.Bad() {
				t.Fatalf("status %s but told %v", next.Status, open)
			}
			if v.data && !fresh && s.Status != rpo.NoData && s.Status != "" && next.Value <= last {
				t.Fatalf("the RPO fell from %v to %v without a point", last, next.Value)
			}
			if !next.Good.IsZero() && !next.Status.Bad() {
				t.Fatal("good since, but not bad")
			}
			s, last = next, next.Value
		}
	})
}

func TestNoDataIsNotProtected(t *testing.T) {
	o := rpo.Objective{RPO: 5 * time.Second}
	p := &cdp.Point{Time: t0, Bound: time.Millisecond}
	for name, in := range map[string]rpo.Sample{
		"before the first point": {Now: t0, Running: true},
		"stopped":                {Now: t0, Point: p},
	} {
		if s, c := rpo.Step(rpo.State{Status: rpo.Met}, o, in); s.Status != rpo.NoData || c != rpo.None || s.Value != 0 {
			t.Errorf("%s: %+v %s", name, s, c)
		}
	}
}

func TestClocks(t *testing.T) {
	unmeasured := &cdp.Point{Time: t0}
	for name, c := range map[string]struct {
		in           rpo.Sample
		value, bound time.Duration
	}{
		"corrected already": {rpo.Sample{Point: &cdp.Point{Time: t0, Bound: 3}, Offset: time.Hour, OffsetBound: 9, Now: t0.Add(2)}, 2, 3},
		"measured later":    {rpo.Sample{Point: unmeasured, Offset: -time.Second, OffsetBound: 9, Now: t0}, time.Second, 9},
		"never measured":    {rpo.Sample{Point: unmeasured, Now: t0.Add(7)}, 7, 0},
		"in the future":     {rpo.Sample{Point: &cdp.Point{Time: t0.Add(50), Bound: 3}, Now: t0}, 0, 50},
	} {
		c.in.Running = true
		if v, b, ok := c.in.Measure(); !ok || v != c.value || b != c.bound {
			t.Errorf("%s: %v +- %v, want %v +- %v", name, v, b, c.value, c.bound)
		}
	}
}
