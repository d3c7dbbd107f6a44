package orchestrator

import (
	"context"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/core/plan"
)

// HandleRun handles orchestrator.run.
func (s *Service) HandleRun(ctx context.Context, e event.Event) error {
	var p event.PlanRun
	if err := e.Into(&p); err != nil {
		return err
	}
	return s.begin(ctx, plan.Request{Plan: p.Plan, ID: p.Run, Mode: p.Mode, By: e.Source})
}

const opRun = "run plan"

// begin makes the record of a new run, which its driver then begins. Conflict while
// another run goes on; Duplicate if this one is over already.
func (s *Service) begin(ctx context.Context, req plan.Request) error {
	started := event.PlanStarted{Plan: req.Plan, Run: req.ID, Mode: req.Mode, By: req.By}
	var old *plan.Run
	last, rev, err := s.deps.Runs.Get(ctx, req.Plan)
	switch {
	case err == nil:
		old = &last
	case cdp.Is(err, cdp.Corrupt): // it is replaced
	case !cdp.Is(err, cdp.NotFound):
		return cdp.Wrap(err, opRun, req.Plan)
	}
	switch err := plan.Admit(old, req); {
	case cdp.Is(err, cdp.Duplicate) && !last.Over(): // its event may be lost
		return cdp.Wrap(s.deps.Events.Emit(ctx, started), opRun, req.Plan)
	case err != nil:
		return err
	}
	spec, revision, err := s.deps.Plans.Get(ctx, req.Plan)
	if cdp.Is(err, cdp.NotFound) {
		_, err = s.plan(ctx, opRun, req.Plan)
	}
	if err != nil {
		return cdp.Wrap(err, opRun, req.Plan)
	}
	if old != nil {
		if err := s.deps.Runs.Keep(ctx, *old); err != nil {
			return cdp.Wrap(err, opRun, req.Plan)
		}
	}
	next := plan.Begin(req, revision, spec, s.deps.Clock.Now())
	next.Trace = s.deps.Tracer.Carry(ctx)
	_, err = s.deps.Runs.Put(ctx, next, rev)
	switch {
	case cdp.Is(err, cdp.Conflict): // look again
		return cdp.Errorf(cdp.Transient, opRun, req.Plan, "another run began meanwhile")
	case err != nil:
		return cdp.Wrap(err, opRun, req.Plan)
	}
	return cdp.Wrap(s.deps.Events.Emit(ctx, started), opRun, req.Plan)
}

// HandleControl handles orchestrator.control. What is in progress is not waited
// for: the orchestrator that drives the run sees the change.
func (s *Service) HandleControl(ctx context.Context, e event.Event) error {
	var p event.PlanControl
	if err := e.Into(&p); err != nil {
		return err
	}
	return s.ask(ctx, p.Plan, p.Run, plan.Ask{Verb: plan.Verb(p.Do), Action: p.Action, By: e.Source})
}

// ask changes a plan's run as asked; an empty id means the current one.
func (s *Service) ask(ctx context.Context, name, id string, ask plan.Ask) error {
	op := string(ask.Verb) + " plan"
	for {
		run, rev, err := s.deps.Runs.Get(ctx, name)
		switch {
		case cdp.Is(err, cdp.NotFound):
			return cdp.Errorf(cdp.NotFound, op, name, "it was never run")
		case err != nil:
			return cdp.Wrap(err, op, name)
		case id != "" && id != run.ID:
			return cdp.Errorf(cdp.Conflict, op, name, "the current run is %s, not %s", run.ID, id)
		}
		if err := run.CheckAsk(ask); err != nil {
			return err
		}
		if ask.Verb == plan.Cancel {
			if err := s.cancelSubRuns(ctx, run); err != nil {
				return cdp.Wrap(err, op, name)
			}
		}
		next, cmds := plan.Step(run, plan.Event{What: plan.Asked, Ask: ask, Now: s.deps.Clock.Now()})
		_, err = s.deps.Runs.Put(ctx, next, rev)
		if cdp.Is(err, cdp.Conflict) {
			continue
		}
		if err != nil {
			return cdp.Wrap(err, op, name)
		}
		s.tell(ctx, next, cmds)
		return nil
	}
}
