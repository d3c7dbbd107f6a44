package journal

import (
	"cmp"
	"context"
	"slices"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/core/approval"
	"tidemark.dev/pkg/engine/vault"
)

// points are the recovery points with their times on the target's clock.
func (g *group) points() []cdp.Point {
	return g.times.listed(g.vault.Points())
}

// markDamaged marks the points that cannot be read in full, and returns those.
func (g *group) markDamaged(ps []cdp.Point) (bad []cdp.Point, err error) {
	lost, err := g.vault.Unreadable()
	for i := range ps {
		if ps[i].Damaged = slices.ContainsFunc(lost, func(u vault.Unreadable) bool { return u.Has(ps[i].Seq) }); ps[i].Damaged {
			bad = append(bad, ps[i])
		}
	}
	return bad, err
}

// pointsPage is one page of the points.
func (g *group) pointsPage(r api.PointsRequest) (api.PointsReply, error) {
	if g.vault.State().Sealed { // those that remain cannot be read any more
		return api.PointsReply{}, g.readable("list points")
	}
	ps := g.points()
	if _, err := g.markDamaged(ps); err != nil && !cdp.Is(err, cdp.Corrupt) { // then status says more
		return api.PointsReply{}, err
	}
	reply := api.PointsReply{Bounds: g.vault.Bounds()}
	if r.Request != 0 {
		if i := slices.IndexFunc(ps, func(p cdp.Point) bool { return p.Request == r.Request }); i >= 0 {
			reply.Points = ps[i : i+1]
		}
		return reply, nil
	}
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

// editPoint changes or deletes a point.
func (g *group) editPoint(ctx context.Context, r api.EditPointRequest) (cdp.Point, error) {
	ps := g.points()
	p, err := choose(ps, r.Point)
	if err != nil {
		return p, err
	}
	change := event.PointTagged
	if r.Delete {
		if p.Pinned {
			return p, cdp.Errorf(cdp.Conflict, "delete point", p.ID(), "it is pinned").WithHint("unpin it first: tidemark point unpin")
		}
		change = event.PointDeleted
		if err = g.lock.frees(p, ps); err == nil {
			err = g.unshown(p, r.Force)
		}
		if err == nil {
			err = g.agreed(ctx, "delete "+p.ID())
		}
		if err == nil {
			err = g.vault.DeletePoint(p.Frame)
		}
	} else {
		if r.Pinned != nil && p.Pinned && !*r.Pinned {
			if err := g.agreed(ctx, "unpin "+p.ID()); err != nil {
				return p, err
			}
		}
		listed := p
		p, err = g.vault.EditPoint(p.Frame, func(p *cdp.Point) error {
			if r.Pinned != nil && p.Pinned && !*r.Pinned {
				if err := g.lock.frees(*p, ps); err != nil {
					return err
				}
			}
			return edited(p, r, g.times.ran(p.Ran))
		})
		p.Time, p.Bound = listed.Time, listed.Bound
		if r.Pinned != nil {
			change = map[bool]event.PointChange{true: event.PointPinned, false: event.PointUnpinned}[*r.Pinned]
		}
	}
	if err == nil {
		g.deps.Facts.PointChanged(ctx, g.job.id, p, change)
	}
	return p, err
}

// agreed is Conflict unless two persons agreed to take a point from the group, where the
// site asks for that.
func (g *group) agreed(ctx context.Context, of string) error {
	if g.deps.Approvals == nil {
		return nil
	}
	return g.deps.Approvals.Agreed(ctx, approval.Act{What: approval.RemovePoint, Job: string(g.job.id), Of: of})
}

// edited applies what a request changes to a point of a journal that has run so long.
func edited(p *cdp.Point, r api.EditPointRequest, ran time.Duration) error {
	tags := p.Tags
	if r.Tags != nil {
		tags = *r.Tags
	}
	tags = slices.Clone(tags)
	for _, t := range r.AddTags {
		if !slices.Contains(tags, t) {
			tags = append(tags, t)
		}
	}
	if r.Tags != nil || r.AddTags != nil {
		if err := cdp.CheckTags(tags); err != nil {
			return err
		}
	}
	p.Tags = tags
	if r.Pinned != nil {
		if *r.Pinned && !p.Pinned {
			p.PinnedRan = ran
		}
		p.Pinned = *r.Pinned
	}
	return nil
}
