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

// knownJobs are the jobs of the site, as they are described.
type knownJobs struct {
	jobs   []spec.ReplicationJob
	vmJobs []spec.VMJob
}

func (k knownJobs) hash(p spec.Plan) string { return plan.Hash(p, k.jobs, k.vmJobs) }

func (s *Service) jobs(ctx context.Context) (k knownJobs, err error) {
	if k.jobs, err = s.deps.Jobs.List(ctx); err == nil {
		k.vmJobs, err = s.deps.Jobs.OnVMs(ctx)
	}
	return k, err
}

// facts is what is known of the site that a plan is checked against, and the hash of
// the plan and its jobs.
func (s *Service) facts(ctx context.Context, p spec.Plan) (plan.Facts, string, error) {
	f := plan.Facts{Jobs: map[string]plan.JobFacts{}, Points: map[string]string{}}
	known, err := s.jobs(ctx)
	if err != nil {
		return f, "", err
	}
	for _, j := range known.jobs {
		running, err := s.deps.Jobs.Running(ctx, j.Name)
		if err != nil && !cdp.Is(err, cdp.NotFound) {
			return f, "", err
		}
		f.Jobs[j.Name] = plan.JobFacts{Source: j.Source.Site, VM: j.Target.VM != "", Running: running}
	}
	names, err := s.deps.Outside.Scripts()
	if err != nil {
		return f, "", err
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
	f.Others, err = s.deps.Plans.List(ctx)
	return f, known.hash(p), err
}

// point is the point without which a failover cannot go; empty if it goes by time.
// Where there is a newest point there is a last write, too.
func point(f spec.FailoverAction) string {
	if f.Before != nil {
		return ""
	}
	return cmp.Or(f.Point, cdp.Latest)
}
