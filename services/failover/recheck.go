package failover

import (
	"context"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/core/failoverrun"
)

// Recheck has the VM of the job's run checked again: what was wrong may have been mended.
// The errors are those of failoverrun.Run.CheckRecheck, and NotFound without a run.
func (s *Service) Recheck(ctx context.Context, r api.FailoverCheckRequest) error {
	run, err := s.current(ctx, r.Job, r.Run)
	if err == nil {
		err = run.CheckRecheck()
	}
	if err == nil {
		err = s.note(ctx, r.Job, failoverrun.Event{What: failoverrun.RecheckAsked})
	}
	if err != nil {
		return cdp.Wrap(err, "check the VM of", r.Job)
	}
	s.kick(r.Job)
	return nil
}
