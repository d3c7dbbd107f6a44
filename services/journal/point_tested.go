package journal

import (
	"context"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
)

// pointTested handles api.JournalTested: the failover service may say what came of a
// test, and change nothing else of a point.
func (g *group) pointTested(ctx context.Context, r api.PointTestedRequest) (cdp.Point, error) {
	if err := cdp.CheckVerdict(r.Test.Verdict, r.Test.Note); err != nil {
		return cdp.Point{}, err
	}
	listed, err := choose(g.points(), r.Point)
	if err != nil {
		return listed, err
	}
	p, err := g.vault.EditPoint(listed.Frame, func(p *cdp.Point) error {
		p.Tested = &r.Test
		return nil
	})
	p.Time, p.Bound = listed.Time, listed.Bound
	if err == nil {
		g.deps.Facts.PointChanged(ctx, g.job.id, p, event.PointTested)
	}
	return p, err
}
