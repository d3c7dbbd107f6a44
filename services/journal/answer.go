package journal

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
)

// status tells people and services how the group stands.
func (g *group) status() (api.GroupStatus, error) {
	ps := g.points()
	bytes, err := g.vault.Usage()
	if err != nil {
		return api.GroupStatus{}, err
	}
	free, err := g.deps.Stores.Free()
	if err != nil {
		return api.GroupStatus{}, err
	}
	s, o := g.vault.Stored(), g.clockNow()
	g.mu.Lock()
	defer g.mu.Unlock()
	st := api.GroupStatus{Group: g.id, State: g.state, Reason: g.reason, Mode: g.spec.Mode, Bounds: g.vault.Bounds(),
		Frame: s.No, Epoch: s.Epoch, Received: g.received, Sealed: g.sealed, Consistent: g.whole, Points: len(ps),
		Bytes: bytes, Limit: g.spec.Limit, FreeBytes: free, ClockOffset: o.Ahead, ClockBound: o.Bound, Disks: g.vault.Disks()}
	switch now := g.vault.State(); {
	case now.Sealed:
		st.State, st.Reason = event.JournalSealed, "the failover was committed: the images are the disks"
	case now.Released:
		st.State, st.Reason = event.JournalHalted, "the group has been failed over; the run "+now.Run+" has the replica's disks"
	case now.Halted:
		st.State, st.Reason = event.JournalHalted, "the group has been failed over"
	}
	if len(ps) > 0 {
		st.Oldest, st.Newest = &ps[0], &ps[len(ps)-1]
	}
	return st, nil
}

// pointsPage is one answer's worth of points.
func (g *group) pointsPage(r api.PointsRequest) (api.PointsReply, error) {
	ps := g.points()
	reply := api.PointsReply{Bounds: g.vault.Bounds()}
	if r.Last > 0 {
		reply.Points = ps[max(0, len(ps)-min(r.Last, api.PointsPage)):]
		return reply, nil
	}
	from, _ := slices.BinarySearchFunc(ps, r.After+1, func(p cdp.Point, no cdp.FrameNo) int { return cmp.Compare(p.Frame, no) })
	ps = ps[from:]
	reply.Points = ps[:min(len(ps), api.PointsPage)]
	reply.More = len(reply.Points) < len(ps)
	return reply, nil
}

// resolve finds the seq that a person meant.
func (g *group) resolve(r api.ResolveRequest) (api.Resolved, error) {
	const op = "resolve point"
	o := g.clockNow()
	if (r.At == nil) == (r.Point == "") {
		return api.Resolved{}, cdp.Errorf(cdp.Invalid, op, "point, at", "exactly one of them must be given")
	}
	if r.At != nil {
		s, t, err := g.vault.At(r.At.Add(-o.Ahead))
		return api.Resolved{Seq: s, Time: o.target(t), Bound: o.Bound}, err
	}
	if n, ok := strings.CutPrefix(r.Point, "seq:"); ok {
		v, err := strconv.ParseUint(n, 10, 64)
		if b := g.vault.Bounds(); err != nil || !b.Has(cdp.Seq(v)) {
			return api.Resolved{}, cdp.Errorf(cdp.NotFound, op, r.Point, "not a write inside the journal (%s)", b)
		}
		if g.vault.State().Straight {
			return api.Resolved{}, cdp.Errorf(cdp.NotFound, op, r.Point, "nothing can be recovered yet: the first copy is under way")
		}
		whole, err := g.vault.Complete(cdp.Seq(v))
		if err == nil && !whole {
			err = cdp.Errorf(cdp.NotFound, op, r.Point, "it is in the middle of a copy: the disks never stood so").
				WithHint("list the points that can be recovered with: tidemark point list " + string(g.id))
		}
		return api.Resolved{Seq: cdp.Seq(v), Bound: o.Bound}, err
	}
	ps := g.points()
	p, err := choose(ps, r.Point)
	if err != nil {
		return api.Resolved{}, err
	}
	return api.Resolved{Seq: p.Seq, Time: p.Time, Bound: p.Bound, Point: &p}, nil
}

// choose finds a point by its id, by the word latest, or as the newest with a
// tag. It is pure; ps are oldest first.
func choose(ps []cdp.Point, name string) (cdp.Point, error) {
	for _, p := range slices.Backward(ps) {
		if name == "latest" || p.ID() == name || slices.Contains(p.Tags, name) {
			return p, nil
		}
	}
	if len(ps) == 0 {
		return cdp.Point{}, cdp.Errorf(cdp.NotFound, "resolve point", name, "there is no recovery point yet: the first copy is not complete, or has not begun").
			WithHint("see how far it is: tidemark status")
	}
	return cdp.Point{}, cdp.Errorf(cdp.NotFound, "resolve point", name, "there is no such recovery point, nor one with that tag").
		WithHint("list the points that can be recovered with: tidemark point list JOB")
}

// editPoint changes or deletes a point.
func (g *group) editPoint(ctx context.Context, r api.EditPointRequest) (cdp.Point, error) {
	ps := g.points()
	p, err := choose(ps, r.Point)
	if err != nil {
		return p, err
	}
	what := event.PointTagged
	if r.Delete {
		if p.Pinned {
			return p, cdp.Errorf(cdp.Conflict, "delete point", p.ID(), "it is pinned").WithHint("unpin it first: tidemark point unpin")
		}
		what = event.PointDeleted
		err = g.vault.DeletePoint(p.Frame)
	} else {
		p, err = g.vault.EditPoint(p.Frame, func(p *cdp.Point) {
			if r.Tags != nil {
				p.Tags = *r.Tags
			}
			if r.Pinned != nil {
				p.Pinned = *r.Pinned
			}
		})
		if r.Pinned != nil {
			what = map[bool]event.PointChange{true: event.PointPinned, false: event.PointUnpinned}[*r.Pinned]
		}
		o := g.clockNow()
		p.Time, p.Bound = o.target(p.Time), o.Bound
	}
	if err == nil {
		g.deps.Facts.PointChanged(ctx, g.id, p, what)
	}
	return p, err
}

// absorb makes an export's writes part of the replica. From here on there is no
// undo: the journal is sealed first, durably.
func (g *group) absorb(ctx context.Context, id string) (api.MoveReply, error) {
	const op = "absorb export"
	x := slices.IndexFunc(g.exports.list(), func(e api.Export) bool { return e.ID == id })
	if x >= 0 {
		e := g.exports.list()[x]
		if b := g.vault.Bounds(); b.Base != e.Seq {
			return api.MoveReply{}, cdp.Errorf(cdp.Conflict, op, id, "the replica is at write %d, the export at %d: move base first", b.Base, e.Seq)
		}
		if err := g.vault.Seal(ctx); err != nil {
			return api.MoveReply{}, err
		}
		if err := g.exports.absorb(id, g.replica); err != nil {
			return api.MoveReply{}, cdp.Wrap(err, op, id)
		}
	}
	return api.MoveReply{Done: true, Bounds: g.vault.Bounds(), Moved: 1, Total: 1}, nil
}

func (g *group) seal(ctx context.Context) (api.SealReply, error) {
	err := g.vault.Seal(ctx)
	return api.SealReply{Paths: g.specNow().Paths}, err
}

func (g *group) cursor() api.Cursor {
	s := g.vault.Stored()
	c := api.Cursor{Frame: s.No, Head: s.Head, Epoch: s.Epoch}
	if s.No > 0 {
		c.Hash = s.Hash[:]
	}
	return c
}
