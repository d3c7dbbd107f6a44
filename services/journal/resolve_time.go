package journal

import (
	"math"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
)

// ahead is how far the clock of whoever asks may be ahead of this site's.
const ahead = 5 * time.Second

// resolveTime finds the newest write at or before a time on the target's clock. A
// time with which a point is listed means that point. Another one lies between two
// points, and so does what is found: frames have the source's times only, and a point
// next to them says how that was related to the target's then.
func (g *group) resolveTime(at time.Time) (api.Resolved, error) {
	const op = "resolve point"
	if now := g.deps.Clock.Now(); at.After(now.Add(ahead)) {
		return api.Resolved{}, cdp.Errorf(cdp.Invalid, op, "at", "%s is in the future: at this site it is %s",
			at.UTC().Format(time.RFC3339Nano), now.UTC().Format(time.RFC3339)).WithHint("give a time that has passed, or now")
	}
	is, before, after := around(g.points(), at)
	if is != nil {
		return resolved(is), nil
	}
	source, bound, err := g.localOffset(before, after)
	if err != nil {
		return api.Resolved{}, err
	}
	from, upTo := cdp.FrameNo(0), cdp.FrameNo(math.MaxUint64)
	if before != nil {
		from = before.Frame
	}
	if after != nil {
		upTo = after.Frame // the time may lie inside it
	}
	s, t, err := g.vault.At(from, upTo, at.Add(-source))
	if err == nil && after != nil && s >= after.Seq { // the source's clock stepped back before it
		s, t, err = g.vault.At(from, upTo-1, at.Add(-source))
	}
	if before != nil && cdp.Is(err, cdp.NotFound) {
		return resolved(before), nil
	}
	return api.Resolved{Seq: s, Time: t.Add(source), Bound: bound}, err
}

// localOffset is what must be added to the source times of frames between two points
// to get the target's, with its error.
func (g *group) localOffset(before, after *cdp.Point) (ahead, bound time.Duration, err error) {
	for _, p := range []*cdp.Point{before, after} {
		if p == nil {
			continue
		}
		t, ok, err := g.vault.SealedAt(p.Frame)
		if ok || err != nil {
			return p.Time.Sub(t), p.Bound, err
		}
	}
	o := g.clock.offset()
	return o.Ahead, o.Bound, nil
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
