package orchestrator

import (
	"cmp"
	"context"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/plan"
)

// check handles api.PlanCheck.
func (s *Service) check(ctx context.Context, r api.PlanRequest) (any, error) {
	const op = "check site recovery job"
	var p spec.Plan
	if len(r.Document) > 0 {
		o, reply, err := api.ReadDocument(api.ApplyRequest{Document: r.Document}, spec.KindPlan)
		if err == nil {
			err = reply.Err()
		}
		if err != nil {
			return nil, err
		}
		p = *o.Plan
	} else {
		var err error
		if p, err = s.plan(ctx, op, r.Plan); err != nil {
			return nil, err
		}
	}
	found, err := s.findings(ctx, p)
	return api.PlanCheckReply{Plan: p.Name, Findings: found}, cdp.Wrap(err, op, p.Name)
}

// plan is a stored plan; an error says how to find one.
func (s *Service) plan(ctx context.Context, op, name string) (spec.Plan, error) {
	p, _, err := s.deps.Plans.Get(ctx, name)
	if cdp.Is(err, cdp.NotFound) {
		return p, cdp.Errorf(cdp.NotFound, op, name, "there is no such site recovery job at site %s", s.cfg.Site).WithHint("list them: tidemark plan list")
	}
	return p, cdp.Wrap(err, op, name)
}

// findings checks a plan against what is known of the site.
func (s *Service) findings(ctx context.Context, p spec.Plan) ([]api.PlanFinding, error) {
	jobs, err := s.deps.Jobs.List(ctx)
	if err != nil {
		return nil, err
	}
	f := plan.Facts{Jobs: map[string]plan.JobFacts{}, Points: map[string]string{}}
	for _, j := range jobs {
		running, err := s.deps.Jobs.Running(ctx, j.Name)
		if err != nil && !cdp.Is(err, cdp.NotFound) {
			return nil, err
		}
		f.Jobs[j.Name] = plan.JobFacts{Source: j.Source.Site, VM: j.Target.VM != "", Running: running}
	}
	names, err := s.deps.Outside.Scripts()
	if err != nil {
		return nil, err
	}
	f.Scripts = map[string]bool{}
	for _, n := range names {
		f.Scripts[n] = true
	}
	for _, a := range p.Actions {
		if _, known := f.Jobs[a.Job()]; a.Failover == nil || !known {
			continue
		}
		err := s.deps.World.Resolve(ctx, api.ResolveRequest{Group: cdp.GroupID(a.Failover.Job), Point: point(*a.Failover), At: a.Failover.Before})
		if err != nil && !cdp.Is(err, cdp.Transient) { // else it is not known
			f.Points[a.Name] = err.Error()
		}
	}
	if f.Others, err = s.deps.Plans.List(ctx); err != nil {
		return nil, err
	}
	return plan.Check(p, f), nil
}

// point is the point without which a failover cannot go; empty if it goes by time.
// Where there is a newest point there is a last write, too.
func point(f spec.FailoverAction) string {
	if f.Before != nil {
		return ""
	}
	return cmp.Or(f.Point, cdp.Latest)
}
