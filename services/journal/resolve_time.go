package journal

import (
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
)

// ahead is how far the clock of whoever asks may be ahead of this site's.
const ahead = 5 * time.Second

// resolveTime finds the newest write at or before a time on the target's clock. A
// time with which a point is listed means that point.
func (g *group) resolveTime(at time.Time, o offset) (api.Resolved, error) {
	const op = "resolve point"
	if now := g.deps.Clock.Now(); at.After(now.Add(ahead)) {
		return api.Resolved{}, cdp.Errorf(cdp.Invalid, op, "at", "%s is in the future: at this site it is %s",
			at.UTC().Format(time.RFC3339Nano), now.UTC().Format(time.RFC3339)).WithHint("give a time that has passed, or now")
	}
	is, before, after := around(g.points(), at)
	if is != nil {
		return resolved(is), nil
	}
	s, t, err := g.vault.At(at.Add(-o.Ahead))
	// The clocks' difference may have been another one when the points were made:
	// what is found lies between the points that the time lies between.
	if before != nil && (err != nil || s < before.Seq || after != nil && s > after.Seq) {
		return resolved(before), nil
	}
	return api.Resolved{Seq: s, Time: o.target(t), Bound: o.Bound}, err
}

func resolved(p *cdp.Point) api.Resolved {
	return api.Resolved{Seq: p.Seq, Time: p.Time, Bound: p.Bound, Point: p}
}

// around finds the newest point that is listed with the time at, which people see to
// the millisecond, and the points next to it. It is pure; ps are oldest first.
func around(ps []cdp.Point, at time.Time) (is, before, after *cdp.Point) {
	listed := at.Truncate(time.Millisecond).Equal(at)
	for i := range ps {
		p := &ps[i]
		switch {
		case p.Time.Equal(at), listed && p.Time.Truncate(time.Millisecond).Equal(at):
			is = p
		case p.Time.Before(at):
			before = p
		case after == nil:
			after = p
		}
	}
	return is, before, after
}
