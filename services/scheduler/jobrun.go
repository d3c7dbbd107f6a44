package scheduler

import (
	"context"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
)

// RunJob handles scheduler.job-run. NotFound when there is no such job.
func (s *Service) RunJob(ctx context.Context, e event.Event) error {
	var p event.JobRun
	if err := e.Into(&p); err != nil {
		return err
	}
	if _, err := s.deps.Jobs.Get(ctx, p.Job); err != nil {
		if cdp.Is(err, cdp.NotFound) {
			return cdp.Errorf(cdp.NotFound, "run job", p.Job, "there is no such job").WithHint("apply its file first: tidemark apply -f FILE")
		}
		return cdp.Wrap(err, "run job", p.Job)
	}
	return s.want(ctx, p.Job, e, Running, event.JobStarted{Job: p.Job, Reason: "asked for by " + e.Source})
}

// want makes d the desired run state, and tells it once it is kept.
func (s *Service) want(ctx context.Context, job string, e event.Event, d Desired, told event.Payload) error {
	op := map[Desired]string{Running: "run job", Stopped: "stop job"}[d]
	old, rev, err := s.deps.Runs.Get(ctx, job)
	if err != nil && !cdp.Is(err, cdp.NotFound) {
		return cdp.Wrap(err, op, job)
	}
	switch {
	case old.Desired == d && old.Command == e.ID: // it was written, but perhaps not told
	case old.Desired == d:
		return cdp.Errorf(cdp.Duplicate, op, job, "it is %s already", d)
	default:
		st := RunState{Desired: d, Reason: "asked for by " + e.Source, Since: s.deps.Clock.Now(), Command: e.ID}
		err := s.deps.Runs.Put(ctx, job, st, rev)
		if cdp.Is(err, cdp.Conflict) { // look again
			return cdp.Errorf(cdp.Transient, op, job, "its state was changed meanwhile")
		}
		if err != nil {
			return cdp.Wrap(err, op, job)
		}
	}
	return cdp.Wrap(s.deps.Events.Emit(ctx, told), op, job)
}
