package journal

import (
	"math/rand/v2"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/retention"
	"tidemark.dev/pkg/seedtest"
)

// Whatever the outlook, policy keeps its promises: it asks for nothing
// impossible, keeps what the job wants kept, and never drops the newest
// point or a pinned one for age.
func TestPolicyKeepsWhatTheJobWantsKept(t *testing.T) {
	seed := seedtest.Seed(t)
	for i := range 100_000 {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		now := time.Unix(1_800_000_000, 0)
		h := cdp.Seq(rng.IntN(50))
		b := h + cdp.Seq(rng.IntN(50))
		o := outlook{Now: now, Known: true, Bounds: cdp.Bounds{Horizon: h, Base: b, Head: b + cdp.Seq(rng.IntN(50))},
			Mode: []cdp.JournalMode{cdp.Rollback, cdp.RollForward}[rng.IntN(2)], History: time.Duration(rng.IntN(100)) * time.Second,
			Bytes: rng.Int64N(1000), Limit: rng.Int64N(2) * 500, MergeEvery: time.Duration(rng.IntN(2)*rng.IntN(100)) * time.Second}
		if rng.IntN(2) == 0 {
			o.Owed = rng.Float64()
		}
		o.Lock = retention.Lock{For: time.Duration(rng.IntN(2)*rng.IntN(150)) * time.Second, Ran: 200 * time.Second}
		at := now.Add(-200 * time.Second)
		for s := h; s <= o.Bounds.Head; s += cdp.Seq(1 + rng.IntN(20)) {
			at = at.Add(time.Duration(rng.IntN(20)) * time.Second)
			o.Points = append(o.Points, cdp.Point{Frame: cdp.FrameNo(len(o.Points) + 1), Seq: s, Time: at, Ran: 1 + at.Sub(now.Add(-200*time.Second)), Pinned: rng.IntN(8) == 0})
		}
		in := decide(o)
		base := max(o.Bounds.Base, in.Raise)
		switch {
		case in.Raise > o.Bounds.Head:
			t.Fatalf("outlook %d: raises base to %d of %v", i, in.Raise, o.Bounds)
		case in.Horizon > base:
			t.Fatalf("outlook %d: horizon %d beyond base %d", i, in.Horizon, base)
		case in.Merge && (o.Bounds.Base != o.Bounds.Horizon || in.Raise != in.Horizon):
			t.Fatalf("outlook %d: merge of %v to %d, horizon %d", i, o.Bounds, in.Raise, in.Horizon)
		case in.Cut && o.Owed == 0 && (o.Limit == 0 || o.Bytes <= o.Limit/10*9):
			t.Fatalf("outlook %d: cuts history with room left", i)
		}
		if len(o.Points) == 0 || in.Horizon == 0 {
			continue
		}
		if newest := o.Points[len(o.Points)-1]; in.Horizon > newest.Seq {
			t.Fatalf("outlook %d: drops the newest point", i)
		}
		for _, p := range o.Points {
			young := now.Sub(p.Time) < o.History
			if p.Seq < in.Horizon && o.Lock.Left(p) > 0 {
				t.Fatalf("outlook %d: drops %+v, which is locked, horizon %d", i, p, in.Horizon)
			}
			if p.Seq < in.Horizon && !in.Cut && (young || p.Pinned) {
				t.Fatalf("outlook %d: drops %+v for its age, horizon %d", i, p, in.Horizon)
			}
			if p.Seq < in.Horizon && p.Pinned && o.Limit == 0 {
				t.Fatalf("outlook %d: drops %+v, which is pinned, for room on the disk, horizon %d", i, p, in.Horizon)
			}
		}
	}
}
