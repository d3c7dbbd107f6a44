package orchestrator

import (
	"context"
	"slices"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/plan"
)

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
		f.Jobs[j.Name] = plan.JobFacts{Source: j.Source.Site, VM: j.Target.VM != "", Running: running, Of: j.Of, UUID: j.Source.VM, RPO: j.RPO.Std()}
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
	f.Blind = map[string]string{}
	for _, t := range p.Triggers {
		if t.Down == nil {
			continue
		}
		if _, _, err := s.deps.World.Up(ctx, t.Down.Site, api.UpRequest{VM: t.Down.VM, Host: t.Down.Host}); err != nil && !cdp.Is(err, cdp.Transient) {
			f.Blind[t.Name] = err.Error()
		}
	}
	f.Unseen = map[string]string{}
	for _, a := range p.Actions {
		if a.Check == nil || a.Check.VM == "" {
			continue
		}
		if _, _, err := s.deps.World.Up(ctx, s.cfg.Site, api.UpRequest{VM: a.Check.VM, Tools: true}); err != nil && !cdp.Is(err, cdp.Transient) {
			f.Unseen[a.Name] = err.Error()
		}
	}
	if f.Power, err = s.powerFacts(ctx, p); err != nil {
		return f, "", err
	}
	if f.Others, err = s.deps.Plans.List(ctx); err != nil {
		return f, "", err
	}
	f.VMFacts, err = s.vmFacts(ctx, p, known)
	return f, known.hash(p), err
}

// vmFacts is what is known of the VMs that a plan fails over. What the vCenter does not
// say now is left out.
func (s *Service) vmFacts(ctx context.Context, p spec.Plan, known knownJobs) (plan.VMFacts, error) {
	f := plan.VMFacts{VMs: map[string]inventory.Member{}, Obstacles: map[string][]inventory.Problem{}, Slots: -1}
	for _, a := range p.Actions {
		i := slices.IndexFunc(known.jobs, func(j spec.ReplicationJob) bool { return j.Name == a.Job() })
		if a.Failover == nil || i < 0 || known.jobs[i].Target.VM == "" {
			continue
		}
		job := known.jobs[i]
		m, err := s.deps.VMs.Member(ctx, job.Name)
		switch {
		case err == nil:
			f.VMs[job.Name] = m
		case !cdp.Is(err, cdp.NotFound) && !cdp.Is(err, cdp.Corrupt):
			return f, err
		}
		k := slices.IndexFunc(known.vmJobs, func(v spec.VMJob) bool { return v.Name == job.Of })
		if _, asked := f.Obstacles[job.Of]; asked || k < 0 {
			continue
		}
		if f.Obstacles[job.Of], err = s.deps.VMs.Obstacles(ctx, known.vmJobs[k]); err != nil {
			s.deps.Notify(cdp.Wrap(err, "check job on VMs", job.Of))
		}
	}
	if len(f.VMs) == 0 {
		return f, nil
	}
	here, slots, err := s.deps.VMs.Here(ctx)
	if err != nil {
		s.deps.Notify(cdp.Wrap(err, "look at vCenter", string(s.cfg.Site)))
		return f, nil
	}
	f.Addresses, f.Slots, f.Free = plan.AddressesOf(here.VMs), slots, map[string]int64{}
	for _, d := range here.Datastores {
		f.Free[d.Name] = d.Free
	}
	return f, nil
}
