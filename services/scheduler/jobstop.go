package scheduler

import (
	"context"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
)

// StopJob handles scheduler.job-stop. A deleted job can be stopped; a job that
// never ran is stopped already.
func (s *Service) StopJob(ctx context.Context, e event.Event) error {
	var p event.JobStop
	if err := e.Into(&p); err != nil {
		return err
	}
	_, _, err := s.deps.Runs.Get(ctx, p.Job)
	if cdp.Is(err, cdp.NotFound) {
		if _, _, err := s.deps.Jobs.Get(ctx, p.Job); err != nil {
			return cdp.Wrap(err, "stop job", p.Job)
		}
		return cdp.Errorf(cdp.Duplicate, "stop job", p.Job, "it never ran")
	}
	return s.want(ctx, p.Job, e, api.DesiredStopped, event.JobStopped{Job: p.Job, Reason: "asked for by " + e.Source})
}
