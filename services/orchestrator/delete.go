package orchestrator

import (
	"context"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
)

// HandleDelete handles orchestrator.plan-delete.
func (s *Service) HandleDelete(ctx context.Context, e event.Event) error {
	var p event.PlanDelete
	if err := e.Into(&p); err != nil {
		return err
	}
	return s.delete(ctx, p.Plan)
}

// delete deletes a plan that does not run, with its history.
func (s *Service) delete(ctx context.Context, name string) error {
	const op = "delete site recovery job"
	s.writes.Lock()
	defer s.writes.Unlock()
	_, rev, err := s.deps.Plans.Get(ctx, name)
	switch {
	case cdp.Is(err, cdp.NotFound):
		return cdp.Errorf(cdp.NotFound, op, name, "there is none of this name at site %s", s.cfg.Site).WithHint("list them: tidemark plan list")
	case err != nil && !cdp.Is(err, cdp.Corrupt):
		return cdp.Wrap(err, op, name)
	}
	run, _, err := s.deps.Runs.Get(ctx, name)
	switch {
	case err == nil && !run.Over():
		return cdp.Errorf(cdp.Conflict, op, name, "its run %s is %s", run.ID, run.Phase).WithHint("end it first: tidemark plan cancel " + name)
	case err != nil && !cdp.Is(err, cdp.NotFound) && !cdp.Is(err, cdp.Corrupt):
		return cdp.Wrap(err, op, name)
	}
	if err := s.deps.Plans.Delete(ctx, name, rev); err != nil {
		return cdp.Wrap(err, op, name)
	}
	if err := s.deps.Runs.Forget(ctx, name); err != nil {
		return cdp.Wrap(err, op, name)
	}
	if err := s.deps.Checks.Forget(ctx, name); err != nil {
		return cdp.Wrap(err, op, name)
	}
	if err := s.deps.Triggers.Forget(ctx, name); err != nil {
		return cdp.Wrap(err, op, name)
	}
	return cdp.Wrap(s.deps.Events.Emit(ctx, event.PlanDeleted{Plan: name}), op, name)
}
