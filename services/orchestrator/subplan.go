package orchestrator

import (
	"cmp"
	"context"
	"fmt"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/plan"
)

// subRun names the run of another plan that an attempt of an action begins.
func subRun(run plan.Run, action string, attempt int) string {
	return "sub-" + short(run.Plan+" "+run.Ref(action, attempt))
}

// ownSubRun reports whether a run of another plan was begun by an attempt of an action.
func ownSubRun(run plan.Run, action string, sub plan.Run) bool {
	for n := run.Attempts(action); n > 0; n-- {
		if sub.ID == subRun(run, action, n) {
			return true
		}
	}
	return false
}

// runPlan runs another plan in the mode of this run, and waits until that is over. While
// this run is paused, so is the other. The run of an earlier attempt is adopted while it
// goes on, and if it succeeded.
func (s *Service) runPlan(ctx context.Context, run plan.Run, t plan.Task, until *deadline) (string, error) {
	name := run.Action(t.Action).RunPlan.Plan
	id := subRun(run, t.Action, t.Attempt)
	for {
		var sub, now plan.Run
		err := s.patient(ctx, until, func(ctx context.Context) (err error) {
			if sub, _, err = s.deps.Runs.Get(ctx, name); ignore(err, cdp.NotFound) != nil {
				return err
			}
			now, _, err = s.deps.Runs.Get(ctx, run.Plan)
			return err
		})
		if err != nil {
			return "", err
		}
		ours := ownSubRun(run, t.Action, sub)
		switch {
		case ours && sub.Phase == plan.Succeeded:
			return fmt.Sprintf("the run %s of %s succeeded: %s", sub.ID, name, sub.Summary()), nil
		case ours && sub.ID == id && sub.Over():
			return "", cdp.Errorf(cdp.Conflict, opRun, name, "its run %s %s: %s", sub.ID, sub.Phase, sub.Summary()).WithHint("see: tidemark plan status " + name)
		case ours && !sub.Over():
			err = s.keepInStep(ctx, now, sub)
		case now.Phase == plan.Paused: // it begins when this run goes on
		default:
			req := plan.Request{Plan: name, ID: id, Mode: run.Mode, By: runner(run)}
			err = s.patient(ctx, until, func(ctx context.Context) error { return s.begin(ctx, req) })
			err = ignore(err, cdp.Duplicate)
		}
		if err != nil && !cdp.Is(err, cdp.Transient) {
			return "", err
		}
		if !s.pause(ctx, until, s.cfg.PollEvery) {
			return "", cmp.Or(err, error(cdp.Errorf(cdp.Transient, opRun, name, "its run did not come to its end in time")))
		}
	}
}

// runner is who starts and pauses the plans that a run runs.
func runner(run plan.Run) string { return "plan " + run.Plan + ", run " + run.ID }

// keepInStep pauses the run of another plan while the run that began it is paused, and then
// has it go on. One that a person paused stays paused.
func (s *Service) keepInStep(ctx context.Context, run, sub plan.Run) error {
	do := plan.Pause
	switch {
	case run.Phase == plan.Paused && sub.Phase == plan.Running:
	case run.Phase == plan.Running && sub.Phase == plan.Paused && sub.PausedWith == run.Plan:
		do = plan.Resume
	default:
		return nil
	}
	err := s.ask(ctx, sub.Plan, sub.ID, plan.Ask{Verb: do, By: runner(run), With: run.Plan})
	return ignore(ignore(err, cdp.Conflict), cdp.Duplicate) // it has changed meanwhile
}

// cleanPlan ends the run of another plan that a test began. It cleans up after itself.
func (s *Service) cleanPlan(ctx context.Context, run plan.Run, t plan.Task, until *deadline) (string, error) {
	name := run.Action(t.Action).RunPlan.Plan
	for {
		sub, _, err := s.deps.Runs.Get(ctx, name)
		switch {
		case cdp.Is(err, cdp.NotFound) || err == nil && !ownSubRun(run, t.Action, sub):
			return "nothing was left", nil
		case err != nil:
			return "", err
		case sub.Over() && sub.Left():
			return "", cdp.Errorf(cdp.Conflict, "clean up plan", name, "its run %s could not be cleaned up: %s", sub.ID, sub.Summary()).WithHint(sub.NextText())
		case sub.Over():
			return fmt.Sprintf("the run %s of %s is cleaned up", sub.ID, name), nil
		}
		if err := s.cancelSubRun(ctx, name, sub.ID); err != nil {
			return "", err
		}
		if !s.pause(ctx, until, s.cfg.PollEvery) {
			return "", cdp.Errorf(cdp.Transient, "clean up plan", name, "its run %s is still %s", sub.ID, sub.Phase)
		}
	}
}

// cancelSubRuns cancels the runs of other plans that a run has started, before the run
// itself is canceled. A cancel that is interrupted halfway is requested again.
func (s *Service) cancelSubRuns(ctx context.Context, run plan.Run) error {
	for _, t := range run.Tasks() {
		a := run.Action(t.Action)
		if a.RunPlan == nil || t.Work != plan.Act {
			continue
		}
		if err := s.cancelSubRun(ctx, a.RunPlan.Plan, subRun(run, t.Action, t.Attempt)); err != nil {
			return err
		}
	}
	return nil
}

// cancelSubRun cancels a run. It is no error if that is over, or is not there.
func (s *Service) cancelSubRun(ctx context.Context, name, id string) error {
	err := s.ask(ctx, name, id, plan.Ask{Verb: plan.Cancel, By: "/" + string(s.cfg.Site) + "/orchestrator"})
	for _, k := range []cdp.Kind{cdp.NotFound, cdp.Conflict, cdp.Duplicate} {
		err = ignore(err, k)
	}
	return err
}

// recovers are the jobs that a production run of a plan fails over, by itself or through
// the plans that it runs.
func (s *Service) recovers(ctx context.Context, p spec.Plan, seen map[string]bool) (jobs []string, err error) {
	seen[p.Name] = true
	for _, a := range p.Actions {
		switch {
		case a.Mode == spec.InTest:
		case a.Failover != nil:
			jobs = append(jobs, a.Failover.Job)
		case a.RunPlan != nil && !seen[a.RunPlan.Plan]:
			sub, _, err := s.deps.Plans.Get(ctx, a.RunPlan.Plan)
			if err != nil {
				return nil, err
			}
			more, err := s.recovers(ctx, sub, seen)
			if err != nil {
				return nil, err
			}
			jobs = append(jobs, more...)
		}
	}
	return jobs, nil
}
