package orchestrator

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/core/failoverrun"
	"tidemark.dev/pkg/core/plan"
)

// failover fails a job over and waits until its disks can be used. A run of this
// action that an earlier attempt began, and that goes on, is continued; if a check of its VM
// failed, a retry makes the checks again. A job that somebody has failed over before stays as
// it is: a plan recovers the others.
func (s *Service) failover(ctx context.Context, run plan.Run, t plan.Task, until *deadline) (string, error) {
	const op = "fail over"
	a := run.Action(t.Action)
	job := a.Failover.Job
	req, err := s.request(ctx, until, run, t)
	if err != nil {
		return "", err
	}
	var failed *time.Time // when the checks were made that are made again
	for seen := false; ; {
		var x *failoverrun.Run
		err := s.patient(ctx, until, func(ctx context.Context) error {
			var err error
			x, err = s.deps.Failovers.Run(s.deps.Tracer.Silent(ctx), job)
			return err
		})
		if err != nil {
			return "", err
		}
		ours := x != nil && strings.HasPrefix(x.ID, run.Prefix(a.Name))
		switch {
		case ours && (x.ID == req.ID || !x.Over() && x.Phase != recovery.Failed):
			seen = true
			switch held := x.Phase == recovery.Ready && x.CheckFailed; {
			case held && failed == nil && t.Attempt > 1:
				failed = &x.CheckedAt
				if err := s.patient(ctx, until, func(ctx context.Context) error { return s.deps.Failovers.Check(ctx, job, x.ID) }); err != nil {
					return "", err
				}
			case held && failed != nil && x.CheckedAt.Equal(*failed): // it is asked for
			default:
				if done, text, err := outcome(*x); done {
					return text, err
				}
			}
		case !seen && run.Mode == recovery.Production && x != nil && x.Recovered():
			return fmt.Sprintf("it was failed over before, by the run %s: %s", x.ID, x.Summary()), nil
		case seen:
			return "", cdp.Errorf(cdp.Conflict, op, job, "its failover run %s is no longer on record: another one began", req.ID)
		default:
			if err := s.patient(ctx, until, func(ctx context.Context) error { return s.deps.Failovers.Start(ctx, req) }); err != nil {
				return "", err
			}
		}
		if !s.pause(ctx, until, s.cfg.PollEvery) {
			return "", cdp.Errorf(cdp.Transient, op, job, "the failover did not come to its end in time")
		}
	}
}

// request is the failover that an attempt asks for.
func (s *Service) request(ctx context.Context, until *deadline, run plan.Run, t plan.Task) (r failoverrun.Request, err error) {
	f := run.Action(t.Action).Failover
	r = failoverrun.Request{Job: f.Job, ID: run.Ref(t.Action, t.Attempt), Mode: run.Mode, To: f.To, Point: f.Point, At: f.Before, Listen: f.Listen}
	if f.Planned && run.Mode == recovery.Production {
		r.Planned, r.Shutdown, r.Point = true, f.Shutdown, ""
	}
	if r.To != "" {
		return r, nil
	}
	err = s.patient(ctx, until, func(ctx context.Context) error {
		jobs, err := s.deps.Jobs.List(ctx)
		for _, j := range jobs {
			if j.Name == f.Job && j.Target.VM != "" && f.Listen == "" {
				r.To = recovery.ToVM
			}
		}
		return err
	})
	r.To = cmp.Or(r.To, recovery.ToNBD)
	return r, err
}

// outcome reports whether the disks of a failover can be used, or it has failed.
func outcome(x failoverrun.Run) (done bool, text string, err error) {
	fail := func(kind cdp.Kind, format string, args ...any) (bool, string, error) {
		return true, "", cdp.Errorf(kind, "fail over", x.Job, format, args...).WithHint(x.Hint)
	}
	switch {
	case x.Phase == recovery.Failed:
		return fail(x.Kind, "%s", x.Error)
	case x.Goal == recovery.Back: // it takes back what it did, and then says why
	case x.Goal != recovery.Recover:
		return fail(cdp.Conflict, "somebody asked for its %s", x.Goal)
	case x.Phase == recovery.Ready && x.CheckFailed:
		return fail(cdp.Conflict, "the VM runs, but not every check passed: %s", x.Summary())
	case x.Phase == recovery.Ready, x.Phase == recovery.Usable && x.To != recovery.ToVM:
		return true, x.Summary(), nil
	}
	return false, "", nil
}
