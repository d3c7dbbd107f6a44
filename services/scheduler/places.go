package scheduler

import (
	"context"
	"slices"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/jobrules"
)

// checkDisks adds what refuses the disks of a job: the services of both sites that
// would use them look at them, and they are compared with those of all other jobs. A
// site that does not answer is a problem, for nothing is known of its disks.
func (s *Service) checkDisks(ctx context.Context, j spec.ReplicationJob, now current, reply *api.ApplyReply) error {
	if !now.kept && !jobrules.NeedsPlaces(j, now.Stored) {
		return nil
	}
	others, err := s.deps.Jobs.List(ctx)
	if err != nil {
		return err
	}
	found, err := s.places(ctx, j, others, reply)
	if err == nil && len(reply.Problems) == 0 {
		made := 0
		switch {
		case now.Job != nil:
			made = len(now.Job.Target.Disks)
		case now.revision != 0 || now.kept:
			made = len(j.Target.Disks)
		}
		reply.Problems = found.Check(s.cfg.Here, j, others, made)
	}
	if len(reply.Problems) > 0 {
		reply.Change = ""
	}
	return err
}

// places is what the services of both sites find at the paths of a job and of others.
func (s *Service) places(ctx context.Context, j spec.ReplicationJob, others []spec.ReplicationJob, reply *api.ApplyReply) (found jobrules.Places, err error) {
	silent := func(field string, err error) {
		reply.Problems = append(reply.Problems, api.Problem{Kind: cdp.Transient, Path: field, Rule: inventory.RuleUnreachable,
			Text: "the disks there cannot be checked: " + err.Error(), Hint: cdp.HintOf(err)})
	}
	here := s.cfg.Here.Site
	found.Source, found.Others, err = s.look(ctx, j.Source.Site, &j, pathsOf(others, j.Source.Site))
	if err != nil {
		silent("/spec/source/site", err)
	}
	if here == j.Source.Site {
		found.Here, found.OthersHere = found.Source, found.Others
	} else if known := pathsOf(others, here); len(known) > 0 || j.Reverses != nil {
		if found.Here, found.OthersHere, err = s.look(ctx, here, nil, known); err != nil {
			silent("/spec/target/site", err)
		}
	}
	if found.Replica, err = s.lookAtReplicas(ctx, j, others); err != nil {
		silent("/spec/target/site", err)
	}
	return found, nil
}

// disksForGroup refuses the job of a VM whose replicas other jobs use. Its sources are
// read from snapshots of the VM, and no path names them.
func (s *Service) disksForGroup(ctx context.Context, j spec.ReplicationJob) error {
	others, err := s.deps.Jobs.List(ctx)
	if err != nil {
		return err
	}
	here := s.cfg.Here.Site
	var found jobrules.Places
	if known := pathsOf(others, here); len(known) > 0 {
		if found.Here, found.OthersHere, err = s.look(ctx, here, nil, known); err != nil {
			return err
		}
	}
	if j.Source.Site == here {
		found.Source, found.Others = found.Here, found.OthersHere
	}
	if found.Replica, err = s.lookAtReplicas(ctx, j, others); err != nil {
		return err
	}
	for _, p := range found.CheckGroup(s.cfg.Here, j, others) {
		return cdp.Errorf(p.Kind, opApply, j.Name, "%s", p).WithHint(p.Hint)
	}
	return nil
}

// look asks capture at a site about the sources of a job, if there is one, and known
// paths.
func (s *Service) look(ctx context.Context, site cdp.Site, j *spec.ReplicationJob, known []string) (map[string]api.DiskFacts, []api.DiskUse, error) {
	by := looker{site: site}
	before, known := s.seen.split(by, known)
	ask := api.DisksRequest{Target: s.cfg.Here.Site, Known: known}
	if j != nil {
		ask.Paths = sourceDisks(*j)
		if j.Source.Listen != "" {
			ask.Listen = []string{j.Source.Listen}
		}
	}
	r, err := s.deps.Disks.Sources(ctx, site, ask)
	s.seen.note(by, r.Disks)
	return byPath(before, r.Disks), r.Others, err
}

// lookAtReplicas asks the journal about the replicas of a job, and those of others.
func (s *Service) lookAtReplicas(ctx context.Context, j spec.ReplicationJob, others []spec.ReplicationJob) (map[string]api.DiskFacts, error) {
	var known []string
	for _, o := range others {
		known = append(known, replicaPaths(o)...)
	}
	by := looker{replicas: true}
	before, known := s.seen.split(by, known)
	r, err := s.deps.Disks.Replicas(ctx, api.DisksRequest{Target: s.cfg.Here.Site, Paths: replicaPaths(j), Known: known})
	s.seen.note(by, r.Disks)
	return byPath(before, r.Disks), err
}

// byPath has the closest look at each path, and what was known before of others.
func byPath(before map[string]api.DiskFacts, disks []api.DiskFacts) map[string]api.DiskFacts {
	out := map[string]api.DiskFacts{}
	for _, d := range disks {
		if _, seen := out[d.Path]; !seen {
			out[d.Path] = d
		}
	}
	for path, d := range before {
		if _, seen := out[path]; !seen {
			out[path] = d
		}
	}
	return out
}

func sourceDisks(j spec.ReplicationJob) (out []string) {
	for _, d := range j.Source.Disks {
		if d.Path != "" {
			out = append(out, d.Path)
		}
	}
	return out
}

func replicaPaths(j spec.ReplicationJob) (out []string) {
	for _, d := range j.Target.Disks {
		out = append(out, d.Path)
	}
	return out
}

// pathsOf are the disks that jobs use at one source site, each once.
func pathsOf(jobs []spec.ReplicationJob, site cdp.Site) (out []string) {
	for _, j := range jobs {
		if j.Source.Site == site {
			out = append(out, sourceDisks(j)...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
