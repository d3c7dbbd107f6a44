package failover

import (
	"context"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/core/failoverrun"
)

const (
	// lookAgain bounds how long a window is slept through, for the clock may be set.
	lookAgain = time.Minute
	// heldAgain is the pause before a policy that was refused is tried again.
	heldAgain = 20 * time.Second
)

// watch warns of the end of the commit window of a job's run, and ends the run then as
// its policy says. It returns when there is no window, or bell rings.
func (s *Service) watch(ctx context.Context, job string, bell <-chan struct{}) {
	retry := s.backoff()
	for ctx.Err() == nil {
		wait, err := s.look(ctx, job)
		if err != nil {
			s.deps.Notify(cdp.Wrap(err, "watch the commit window of", job))
			wait = retry.Next()
		} else {
			retry.Reset()
		}
		if wait == 0 {
			return
		}
		timer := s.deps.Clock.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-timer.C():
		case <-bell:
		}
		timer.Stop()
	}
}

// look does what is due about the window of a job's run. It returns when to look again;
// 0: there is no window.
func (s *Service) look(ctx context.Context, job string) (again time.Duration, err error) {
	run, _, err := s.deps.Records.Get(ctx, job)
	if cdp.Is(err, cdp.NotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	at, warn, ok := run.Due()
	if !ok {
		return 0, nil
	}
	now := s.deps.Clock.Now()
	if left := at.Sub(now); left > 0 {
		return min(left, lookAgain), nil
	}
	if warn {
		err = s.warn(ctx, run, now)
	} else if err = s.endByPolicy(ctx, run); cdp.Is(err, cdp.Conflict) {
		return heldAgain, s.note(ctx, job, failoverrun.Event{What: failoverrun.WindowHeld, Text: reason(err)})
	}
	return s.cfg.PollEvery, err
}

// warn tells people that the run is about to end by itself. The record says so only
// when the event is stored: a run never ends unannounced.
func (s *Service) warn(ctx context.Context, run failoverrun.Run, now time.Time) error {
	ends := run.EndAfterWarning(now)
	p := event.FailoverWindowEnding{Job: run.Job, Run: run.ID, Policy: run.CommitPolicy, Ends: ends, Text: clip(run.WarningText(ends))}
	if err := s.deps.Events.Emit(s.deps.Tracer.Join(ctx, run.Trace), p); err != nil {
		return err
	}
	return s.note(ctx, run.Job, failoverrun.Event{What: failoverrun.WindowWarned, Now: now})
}

// endByPolicy ends the run as its policy says, unless something is in the way that would
// refuse an operator, too.
func (s *Service) endByPolicy(ctx context.Context, run failoverrun.Run) error {
	goal := run.CommitPolicy.Goal()
	if err := run.CheckEnd(); err != nil {
		return err
	}
	if goal == recovery.Commit {
		if err := s.unlocked(ctx, run.Job); err != nil {
			return err
		}
		if err := s.agreed(ctx, run.Job); err != nil {
			return err
		}
	}
	if err := s.unused(ctx, run.Job, goal); err != nil {
		return err
	}
	if err := s.note(ctx, run.Job, failoverrun.Event{What: failoverrun.WindowEnded}); err != nil {
		return err
	}
	s.kick(run.Job)
	return nil
}

// SetPolicy gives the job's run another commit policy, and begins its window anew. The
// errors are those of failoverrun.Run.CheckPolicyChange, and NotFound without a run.
func (s *Service) SetPolicy(ctx context.Context, r api.FailoverPolicyRequest) error {
	const op = "set commit policy"
	run, err := s.current(ctx, r.Job, r.Run)
	if err == nil {
		err = run.CheckPolicyChange(r.Policy, r.Window)
	}
	if err == nil {
		err = s.note(ctx, r.Job, failoverrun.Event{What: failoverrun.PolicySet, Policy: r.Policy, Window: r.Window})
	}
	if err != nil {
		return cdp.Wrap(err, op, r.Job)
	}
	s.kick(r.Job)
	return nil
}

// current is the job's run, which must be the named one if a name is given. NotFound;
// Conflict.
func (s *Service) current(ctx context.Context, job, id string) (failoverrun.Run, error) {
	const op = "find failover"
	run, _, err := s.deps.Records.Get(ctx, job)
	switch {
	case cdp.Is(err, cdp.NotFound):
		return run, cdp.Errorf(cdp.NotFound, op, job, "the job has never been failed over")
	case err == nil && id != "" && id != run.ID:
		return run, cdp.Errorf(cdp.Conflict, op, job, "the current run is %s, not %s", run.ID, id)
	}
	return run, err
}

// reason is an error in words, with what to do about it.
func reason(err error) string {
	text := err.Error()
	if hint := cdp.HintOf(err); hint != "" {
		text += ": " + hint
	}
	return text
}
