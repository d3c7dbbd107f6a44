package retention

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"tidemark.dev/pkg/cdp"
)

const hour = time.Hour

func TestWhatALockHolds(t *testing.T) {
	ps := []cdp.Point{{Seq: 10, Ran: 1 * hour}, {Seq: 20, Ran: 2 * hour}, {Seq: 30, Ran: 5 * hour}, {Seq: 40, Ran: 9 * hour}}
	pinned := []cdp.Point{{Seq: 10, Ran: 1 * hour}, {Seq: 20, Ran: 2 * hour, Pinned: true, PinnedRan: 8 * hour}, {Seq: 30, Ran: 3 * hour}}
	for name, x := range map[string]struct {
		lock Lock
		ps   []cdp.Point
		from cdp.Seq
		left time.Duration
		held bool
	}{
		"no lock":                         {Lock{Ran: 10 * hour}, ps, 0, 0, false},
		"all":                             {Lock{For: 20 * hour, Ran: 10 * hour}, ps, 10, 19 * hour, true},
		"back to the point before":        {Lock{For: 6 * hour, Ran: 10 * hour}, ps, 20, 5 * hour, true},
		"only the newest":                 {Lock{For: 2 * hour, Ran: 10 * hour}, ps, 30, hour, true},
		"over":                            {Lock{For: hour, Ran: 10 * hour}, ps, 0, 0, false},
		"a pin counts from when it began": {Lock{For: 3 * hour, Ran: 10 * hour}, pinned, 20, hour, true},
		"an unpinned point by its age":    {Lock{For: 9 * hour, Ran: 10 * hour}, pinned, 10, 7 * hour, true},
		"points of older versions":        {Lock{For: 3 * hour, Ran: 10 * hour, From: 9 * hour}, []cdp.Point{{Seq: 5}}, 5, 2 * hour, true},
		"no points":                       {Lock{For: hour, Ran: hour}, nil, 0, 0, false},
	} {
		from, left, held := x.lock.Held(x.ps)
		if from != x.from || left != x.left || held != x.held {
			t.Errorf("%s: from %d, %v, %v", name, from, left, held)
		}
	}
}

// Whatever the points: history that is held covers each held point, and everything that
// was written within the time of the lock.
func TestHeldHistoryCoversTheTimeOfTheLock(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := Lock{For: time.Duration(rapid.IntRange(0, 20).Draw(t, "for")), Ran: 100}
		var ps []cdp.Point
		ran, seq := time.Duration(70), cdp.Seq(0)
		for range rapid.IntRange(0, 8).Draw(t, "points") {
			ran = min(ran+time.Duration(rapid.IntRange(1, 12).Draw(t, "later")), l.Ran)
			seq += cdp.Seq(rapid.IntRange(0, 3).Draw(t, "writes"))
			p := cdp.Point{Seq: seq, Ran: ran, Pinned: rapid.Bool().Draw(t, "pinned")}
			if p.Pinned {
				p.PinnedRan = time.Duration(rapid.IntRange(int(ran), int(l.Ran)).Draw(t, "at"))
			}
			ps = append(ps, p)
		}
		from, left, held := l.Held(ps)
		for i, p := range ps {
			if l.Left(p) > left || l.Left(p) > 0 && (!held || p.Seq < from) {
				t.Fatalf("%+v is held, and history goes back to %d only (%v, %v)", p, from, held, left)
			}
			// The disks as they were at the beginning of the lock's time.
			if i > 0 && l.Ran-p.Ran < l.For && from > ps[i-1].Seq {
				t.Fatalf("what was written after %+v is held, and history goes back to %d only", ps[i-1], from)
			}
		}
	})
}
