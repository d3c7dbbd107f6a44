package scheduler

import (
	"context"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/jobrules"
)

// room is what refuses a new job for lack of space at its source site. A site that
// does not answer refuses nothing: jobs may be applied while the link is down. What was
// applied a moment ago counts, even if the source site has not heard of it yet.
func (s *Service) room(ctx context.Context, j spec.ReplicationJob) []api.Problem {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.AskTimeout)
	defer cancel()
	use, err := s.deps.Sources.Spool(ctx, j.Source.Site)
	if err != nil {
		return nil
	}
	others, err := s.deps.Jobs.List(ctx)
	if err != nil {
		return nil
	}
	groups := 0
	for _, o := range others {
		if o.Source.Site == j.Source.Site && o.Name != j.Name {
			groups++
		}
	}
	use.Groups = max(use.Groups, groups)
	return jobrules.Room(j.Source.Site, use)
}

// roomForGroup is room for the job of a VM.
func (s *Service) roomForGroup(ctx context.Context, j spec.ReplicationJob) error {
	for _, p := range s.room(ctx, j) {
		return cdp.Errorf(p.Kind, opApply, j.Name, "%s", p.Text).WithHint(p.Hint)
	}
	return nil
}
