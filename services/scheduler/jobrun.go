package scheduler

import (
	"context"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
)

// RunJob handles scheduler.job-run. NotFound when there is no such job.
func (s *Service) RunJob(ctx context.Context, e event.Event) error {
	var p event.JobRun
	if err := e.Into(&p); err != nil {
		return err
	}
	if _, _, err := s.deps.Jobs.Get(ctx, p.Job); err != nil {
		if cdp.Is(err, cdp.NotFound) {
			return cdp.Errorf(cdp.NotFound, "run job", p.Job, "there is no such job").WithHint("apply its file first: tidemark apply -f FILE")
		}
		return cdp.Wrap(err, "run job", p.Job)
	}
	return s.want(ctx, p.Job, e, api.DesiredRunning, event.JobStarted{Job: p.Job, Reason: "asked for by " + e.Source})
}

// want makes d the desired run state, and emits the fact once it is stored.
func (s *Service) want(ctx context.Context, job string, e event.Event, d api.Desired, fact event.Payload) error {
	op := map[api.Desired]string{api.DesiredRunning: "run job", api.DesiredStopped: "stop job"}[d]
	old, rev, err := s.deps.Runs.Get(ctx, job)
	if err != nil && !cdp.Is(err, cdp.NotFound) && !cdp.Is(err, cdp.Corrupt) {
		return cdp.Wrap(err, op, job)
	}
	switch {
	case old.Desired == d && old.Command == e.ID: // it was written, but its event may be lost
	case old.Desired == d:
		return cdp.Errorf(cdp.Duplicate, op, job, "it is %s already", d)
	default:
		st := api.RunState{Desired: d, Reason: "asked for by " + e.Source, Since: s.deps.Clock.Now(), Command: e.ID}
		err := s.deps.Runs.Put(ctx, job, st, rev)
		if cdp.Is(err, cdp.Conflict) { // look again
			return cdp.Errorf(cdp.Transient, op, job, "its state was changed meanwhile")
		}
		if err != nil {
			return cdp.Wrap(err, op, job)
		}
	}
	return cdp.Wrap(s.deps.Events.Emit(ctx, fact), op, job)
}
