package failover

import (
	"context"
	"reflect"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/core/failoverrun"
)

// settle does what the job's run owes at its source, and asks a source that does not
// answer again until it does. It returns when nothing is owed.
func (s *Service) settle(ctx context.Context, job string) {
	heard := false // the source has begun to do what it owes
	for retry := (&clock.Backoff{Clock: s.deps.Clock, Min: s.cfg.RetryMin, Max: s.cfg.OwedMax}); ctx.Err() == nil; {
		run, _, err := s.deps.Records.Get(ctx, job)
		if cdp.Is(err, cdp.NotFound) {
			return
		}
		if err == nil {
			owed, is := run.Owed()
			if !is {
				return
			}
			var p api.Progress
			p, err = s.askFence(ctx, owed.Site, run, heard)
			if heard = err == nil && !p.Done; heard {
				_ = clock.Sleep(ctx, s.deps.Clock, s.cfg.PollEvery)
				continue
			}
			if ctx.Err() != nil {
				return
			}
			if noted := s.note(ctx, job, answered(owed, p, err)); noted != nil {
				err = noted
			}
		}
		if err == nil {
			retry.Reset()
			continue
		}
		s.deps.Notify(cdp.Wrap(err, "settle what is owed at the source of", job))
		_ = retry.Wait(ctx)
	}
}

// askFence makes one request of the source. A source that does not answer may be asked for
// days: the trace of the run has the request that is answered, and none before or after it.
func (s *Service) askFence(ctx context.Context, site cdp.Site, run failoverrun.Run, heard bool) (api.Progress, error) {
	end := func(error) {}
	if !heard {
		ctx, end = s.deps.Tracer.Span(s.deps.Tracer.Join(ctx, run.Trace), run, "owed fence")
		ctx = s.deps.Tracer.Quiet(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.StepTimeout)
	defer cancel()
	p, err := s.deps.Source.Fence(ctx, site, run.FenceRequest())
	if !cdp.Is(err, cdp.Transient) {
		end(err)
	}
	return p, err
}

// answered is the event of an answer. That the source does not answer is always the
// same text, so that the record is not written for each try.
func answered(owed failoverrun.OldVM, p api.Progress, err error) failoverrun.Event {
	e := failoverrun.Event{What: failoverrun.FenceDone, Turn: owed.Turn, Text: p.Text}
	switch {
	case cdp.Is(err, cdp.Transient):
		e.What, e.Text = failoverrun.FenceRefused, "the site does not answer"
	case err != nil:
		e.What, e.Text = failoverrun.FenceRefused, reason(err)
	}
	return e
}

// note applies an event that is about no step to the job's run, and stores the run if
// that changes it. An event without a time happens now.
func (s *Service) note(ctx context.Context, job string, e failoverrun.Event) error {
	for {
		run, rev, err := s.deps.Records.Get(ctx, job)
		if err != nil {
			return err
		}
		if e.Now.IsZero() {
			e.Now = s.deps.Clock.Now()
		}
		next, cmds := failoverrun.Step(run, e)
		if reflect.DeepEqual(next, run) {
			return nil
		}
		if _, err = s.deps.Records.Put(ctx, job, next, rev); cdp.Is(err, cdp.Conflict) {
			continue
		}
		if err != nil {
			s.doubt(job)
			return err
		}
		s.tell(s.deps.Tracer.Join(ctx, next.Trace), next, cmds)
		return nil
	}
}

// Unfence lets the VM at the source of a committed failover be powered on again. It is
// done when the source answers. The errors are those of failoverrun.Run.CheckLift.
func (s *Service) Unfence(ctx context.Context, r api.UnfenceRequest) error {
	const op = "release the VM at the source"
	run, _, err := s.deps.Records.Get(ctx, r.Job)
	if cdp.Is(err, cdp.NotFound) {
		return cdp.Errorf(cdp.NotFound, op, r.Job, "the job has never been failed over")
	}
	if err == nil {
		err = run.CheckLift()
	}
	if err == nil {
		err = s.note(ctx, r.Job, failoverrun.Event{What: failoverrun.FenceLifted})
	}
	if err != nil {
		return cdp.Wrap(err, op, r.Job)
	}
	s.kick(r.Job)
	return nil
}
