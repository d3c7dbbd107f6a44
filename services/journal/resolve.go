package journal

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
)

// resolve finds the seq that is asked for, and the disks that the source had then.
func (g *group) resolve(r api.ResolveRequest) (api.Resolved, error) {
	found, err := g.find(r)
	if err == nil {
		found.Disks = had(g.vault.DisksAt(found.Seq), g.job.now().Removed, g.points(), found.Seq)
	}
	return found, err
}

// had are those of the disks that the source had at write s: a disk that was removed is
// in every point from before that. No point is made between the last write to a disk and
// when its removal is known, so the newest point up to s says on which side s is. It is
// pure; ps are oldest first.
func had(disks []cdp.Disk, removed []time.Time, ps []cdp.Point, s cdp.Seq) (out []cdp.Disk) {
	var p cdp.Point
	for _, x := range ps {
		if x.Seq <= s {
			p = x
		}
	}
	for _, d := range disks {
		if i := int(d.ID); i < len(removed) && !removed[i].IsZero() && p.Time.Add(-p.Bound).After(removed[i]) {
			continue
		}
		out = append(out, d)
	}
	return out
}

// find finds the seq that is asked for: by a point's name or tag, as the last write, by
// a write's number or by a time.
func (g *group) find(r api.ResolveRequest) (api.Resolved, error) {
	const op = "resolve point"
	if (r.At == nil) == (r.Point == "") {
		return api.Resolved{}, cdp.Errorf(cdp.Invalid, op, "point, at", "exactly one of them must be given")
	}
	if g.vault.State().Sealed {
		return api.Resolved{}, g.readable(op)
	}
	if r.At != nil {
		return g.resolveTime(*r.At)
	}
	if r.Point == cdp.LastWrite {
		return g.resolveLastWrite()
	}
	if n, ok := strings.CutPrefix(r.Point, "seq:"); ok {
		s, err := g.resolveWrite(n)
		return api.Resolved{Seq: s, Bound: g.clock.offset().Bound}, err
	}
	p, err := choose(g.points(), r.Point)
	if err != nil {
		return api.Resolved{}, err
	}
	return api.Resolved{Seq: p.Seq, Time: p.Time, Bound: p.Bound, Point: &p}, nil
}

// resolveWrite is the write of that number, if the disks were ever so.
func (g *group) resolveWrite(number string) (cdp.Seq, error) {
	const op = "resolve point"
	name := "seq:" + number
	v, err := strconv.ParseUint(number, 10, 64)
	s := cdp.Seq(v)
	if b := g.vault.Bounds(); err != nil || !b.Has(s) {
		return 0, cdp.Errorf(cdp.NotFound, op, name, "not a write inside the journal (%s)", b)
	}
	if g.vault.State().Straight {
		return 0, cdp.Errorf(cdp.NotFound, op, name, "nothing can be recovered yet: the first copy is still running")
	}
	complete, err := g.vault.Complete(s)
	if err == nil && !complete {
		err = cdp.Errorf(cdp.NotFound, op, name, "it is in the middle of a copy, where the disks are a mix of two moments").
			WithHint("list the points that can be recovered with: tidemark point list " + string(g.job.id))
	}
	return s, err
}

// resolveLastWrite is the newest write at which history is complete: the newest point,
// or a write that arrived after it. Its time is as exact as that of the point.
func (g *group) resolveLastWrite() (api.Resolved, error) {
	p, err := choose(g.points(), cdp.Latest)
	if err != nil {
		return api.Resolved{}, err
	}
	s, t, err := g.vault.At(p.Frame, math.MaxUint64, time.Unix(0, math.MaxInt64))
	switch {
	case cdp.Is(err, cdp.NotFound), err == nil && s <= p.Seq:
		return resolved(&p), nil
	case err != nil:
		return api.Resolved{}, cdp.Errorf(cdp.KindOf(err), "find the last write", string(g.job.id), "%v", err).
			WithHint("the newest recovery point is " + p.ID() + ": ask for it with --point " + p.ID())
	}
	source, bound, err := g.localOffset(&p, nil)
	return api.Resolved{Seq: s, Time: t.Add(source), Bound: bound}, err
}

// choose finds a point by its id, by the words latest and proven, or as the newest with a
// tag. An id never means a tag. It is pure; ps are oldest first.
func choose(ps []cdp.Point, name string) (cdp.Point, error) {
	for _, p := range slices.Backward(ps) {
		found := slices.Contains(p.Tags, name)
		switch {
		case cdp.IsPointID(name):
			found = p.ID() == name
		case name == cdp.Latest:
			found = true
		case name == cdp.Proven:
			found = found || p.Tested != nil && p.Tested.Verdict == cdp.Passed
		}
		if found {
			return p, nil
		}
	}
	if len(ps) == 0 {
		return cdp.Point{}, cdp.Errorf(cdp.NotFound, "resolve point", name, "there is no recovery point yet: the first copy is not complete, or has not begun").
			WithHint("see how far it is: tidemark status")
	}
	if name == cdp.Proven {
		return cdp.Point{}, cdp.Errorf(cdp.NotFound, "resolve point", name, "no recovery point that is kept has passed a test").
			WithHint("test one: tidemark failover JOB --mode test, then tidemark failover cleanup JOB --verdict passed")
	}
	return cdp.Point{}, cdp.Errorf(cdp.NotFound, "resolve point", name, "no recovery point has this name or tag").
		WithHint("list the points that can be recovered with: tidemark point list JOB")
}
