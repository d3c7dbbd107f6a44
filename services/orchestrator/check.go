package orchestrator

import (
	"cmp"
	"context"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/plan"
)

// check handles api.PlanCheck. The check of a plan that was applied is stored.
func (s *Service) check(ctx context.Context, r api.PlanRequest) (any, error) {
	const op = "check site recovery job"
	if len(r.Document) > 0 {
		o, reply, err := api.ReadDocument(api.ApplyRequest{Document: r.Document}, spec.KindPlan)
		if err == nil {
			err = reply.Err()
		}
		if err != nil {
			return nil, err
		}
		facts, _, err := s.facts(ctx, *o.Plan)
		return api.PlanCheckReply{Plan: o.Plan.Name, Findings: plan.Check(*o.Plan, facts)}, cdp.Wrap(err, op, o.Plan.Name)
	}
	p, err := s.plan(ctx, op, r.Plan)
	if err != nil {
		return nil, err
	}
	v, err := s.verify(ctx, p)
	if err != nil {
		return nil, cdp.Wrap(err, op, p.Name)
	}
	return api.PlanCheckReply{Plan: p.Name, State: string(v.State(v.Hash, v.CheckedAt)), Findings: v.Findings}, nil
}

// plan is a stored plan; an error says how to find one.
func (s *Service) plan(ctx context.Context, op, name string) (spec.Plan, error) {
	p, _, err := s.deps.Plans.Get(ctx, name)
	if cdp.Is(err, cdp.NotFound) {
		return p, cdp.Errorf(cdp.NotFound, op, name, "there is no such site recovery job at site %s", s.cfg.Site).WithHint("list them: tidemark plan list")
	}
	return p, cdp.Wrap(err, op, name)
}

// point is the point without which a failover cannot go; empty if it goes by time.
// Where there is a newest point there is a last write, too.
func point(f spec.FailoverAction) string {
	if f.Before != nil {
		return ""
	}
	return cmp.Or(f.Point, cdp.Latest)
}
