package orchestrator

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/core/plan"
)

// do does a task and says what came of it.
func (s *Service) do(ctx context.Context, run plan.Run, t plan.Task, until *deadline) plan.Event {
	ctx, end := s.deps.Tracer.Span(ctx, run, t)
	e := plan.Event{What: plan.Finished, Task: t}
	var err error
	defer func() { end(err) }()
	switch t.Work {
	case plan.Look:
		e.What = plan.Looked
		err = s.patient(ctx, until, func(ctx context.Context) error {
			var err error
			if a := run.Action(t.Action); a.Power != nil {
				e.Was, err = s.isOn(ctx, *a.Power)
			} else {
				e.Was, err = s.deps.Jobs.Running(ctx, a.Job())
			}
			return err
		})
	case plan.CleanUp:
		e.Text, err = s.cleanUp(ctx, run, t, until)
	default:
		e.Text, err = s.act(ctx, run, t, until)
	}
	if err != nil {
		e.What, e.Err = plan.Refused, err
	}
	return e
}

// act does what an action says, and gives the outcome in words.
func (s *Service) act(ctx context.Context, run plan.Run, t plan.Task, until *deadline) (string, error) {
	a := run.Action(t.Action)
	switch {
	case a.RunJob != nil:
		return "the job runs", s.setRunning(ctx, until, a.RunJob.Job, true)
	case a.StopJob != nil:
		return "the job is stopped", s.setRunning(ctx, until, a.StopJob.Job, false)
	case a.Failover != nil:
		return s.failover(ctx, run, t, until)
	case a.Undo != nil:
		return s.end(ctx, until, a.Undo.Job, Ending{Goal: recovery.Undo, Force: a.Undo.Force})
	case a.Commit != nil:
		return s.end(ctx, until, a.Commit.Job, Ending{Goal: recovery.Commit, Force: a.Commit.Force})
	case a.Cleanup != nil:
		return s.end(ctx, until, a.Cleanup.Job, judged(run, run.FailoverBefore(a.Name), a.Name, Ending{Goal: recovery.Cleanup, Force: true}))
	case a.Check != nil:
		return s.condition(s.deps.Tracer.Silent(ctx), until, *a.Check)
	case a.Script != nil:
		out, err := s.deps.Outside.Script(ctx, a.Script.File, a.Script.Args, environment(run, a.Name))
		return cmp.Or(out, "exit code 0"), err
	case a.Guest != nil:
		return s.guest(ctx, run, t, until, *a.Guest)
	case a.Reprotect != nil:
		return s.reprotect(ctx, run, t, until)
	case a.Failback != nil:
		return s.failback(ctx, run, t, until)
	case a.RunPlan != nil:
		return s.runPlan(ctx, run, t, until)
	case a.Power != nil:
		return s.setPower(ctx, until, a)
	case a.Email != nil:
		return s.email(ctx, run, t, *a.Email)
	case a.Webhook != nil:
		body, err := json.Marshal(run)
		if err == nil {
			err = s.deps.Outside.Post(ctx, a.Webhook.URL, body)
		}
		return "posted", err
	}
	return "", cdp.Errorf(cdp.Internal, "do action", a.Name, "this version does not know how to do it")
}

func (s *Service) setRunning(ctx context.Context, until *deadline, job string, running bool) error {
	return s.patient(ctx, until, func(ctx context.Context) error { return s.deps.Jobs.SetRunning(ctx, job, running) })
}

// end brings a failover of a job to its end.
func (s *Service) end(ctx context.Context, until *deadline, job string, e Ending) (string, error) {
	err := s.stubborn(ctx, until, func(ctx context.Context) error { return s.deps.Failovers.End(ctx, job, e) })
	return string(e.Goal) + " is done", err
}

// judged adds what a test run shows of the point of one of its failovers to the end of
// that failover.
func judged(run plan.Run, failover, until string, e Ending) Ending {
	if e.Verdict, e.Note = run.Verdict(failover, until); e.Verdict != "" {
		e.By = "site recovery job " + run.Plan
	}
	return e
}

// stubborn is patient with something that takes as long as it takes.
func (s *Service) stubborn(ctx context.Context, until *deadline, try func(context.Context) error) error {
	for retry := s.backoff(); ; {
		err := try(ctx)
		if err == nil || !cdp.Is(err, cdp.Transient) || !s.pause(ctx, until, retry.Next()) {
			return err
		}
	}
}

// cleanUp takes back what an action did in a test.
func (s *Service) cleanUp(ctx context.Context, run plan.Run, t plan.Task, until *deadline) (string, error) {
	a := run.Action(t.Action)
	switch {
	case a.RunJob != nil:
		return "the job is stopped, as before", s.setRunning(ctx, until, a.RunJob.Job, false)
	case a.StopJob != nil:
		return "the job runs, as before", s.setRunning(ctx, until, a.StopJob.Job, true)
	case a.Power != nil:
		return s.cleanPower(ctx, until, *a.Power)
	case a.RunPlan != nil:
		return s.cleanPlan(ctx, run, t, until)
	}
	job := a.Job()
	x, err := s.deps.Failovers.Run(ctx, job)
	switch {
	case err != nil:
		return "", err
	case x == nil || !strings.HasPrefix(x.ID, run.Prefix(a.Name)) || x.Over():
		return "nothing was left", nil
	}
	_, err = s.end(ctx, until, job, judged(run, a.Name, "", Ending{Goal: recovery.Cleanup, Run: x.ID, Force: true}))
	return fmt.Sprintf("the test failover %s is cleaned up", x.ID), err
}
