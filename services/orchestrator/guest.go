package orchestrator

import (
	"cmp"
	"context"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/plan"
)

// guest runs a script inside a VM. The guest runs what has one ID once, so an attempt that
// was interrupted goes on with the script that it began.
func (s *Service) guest(ctx context.Context, run plan.Run, t plan.Task, until *deadline, g spec.GuestScript) (string, error) {
	r := guestRun(run, t.Action, t.Attempt)
	err := s.patient(ctx, until, func(ctx context.Context) (err error) {
		r.VM, err = s.guestVM(ctx, run, g)
		return err
	})
	if err != nil {
		return "", err
	}
	var out string
	err = s.stubborn(ctx, until, func(ctx context.Context) (err error) {
		out, err = s.deps.Guests.Run(ctx, r)
		return err
	})
	return cmp.Or(out, "exit code 0"), err
}

// guestRun is the script of an attempt; its VM is not looked up.
func guestRun(run plan.Run, action string, attempt int) GuestRun {
	g := run.Action(action).Guest
	return GuestRun{ID: run.Plan + "." + run.Ref(action, attempt), VM: g.VM, File: g.File, Login: g.Login, Env: environment(run, action)}
}

// guestVM is the VM in which a script runs; Conflict: the failover that starts it does not
// run one here.
func (s *Service) guestVM(ctx context.Context, run plan.Run, g spec.GuestScript) (string, error) {
	if g.Job == "" {
		return g.VM, nil
	}
	x, err := s.deps.Failovers.Run(ctx, g.Job)
	if err != nil {
		return "", err
	}
	here := x != nil && x.VM != nil && x.Mode == run.Mode && (x.Recovered() || x.Mode == recovery.Test && !x.Over())
	if !here {
		return "", cdp.Errorf(cdp.Conflict, "run script in guest", g.Job, "no %s failover of the job runs a VM here", run.Mode)
	}
	return x.VM.UUID, nil
}

// environment says to a script what it runs for.
func environment(run plan.Run, action string) []string {
	return []string{"TIDEMARK_PLAN=" + run.Plan, "TIDEMARK_RUN=" + run.ID, "TIDEMARK_MODE=" + string(run.Mode), "TIDEMARK_ACTION=" + action}
}
