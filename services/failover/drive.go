package failover

import (
	"context"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/core/failoverrun"
)

// drive does the steps of a job's run until it rests, or ctx ends. While the bus
// refuses the record it tries again.
func (s *Service) drive(ctx context.Context, job string) {
	for retry := s.backoff(); ; {
		err := s.driveRun(ctx, job)
		if err == nil || ctx.Err() != nil {
			return
		}
		s.deps.Notify(cdp.Wrap(err, "drive failover of", job))
		if retry.Wait(ctx) != nil {
			return
		}
	}
}

// driven is a run being driven, as its record was last read or written.
type driven struct {
	s   *Service
	run failoverrun.Run
	rev uint64
}

// driveRun continues the run from its record. An error is about the record.
func (s *Service) driveRun(ctx context.Context, job string) error {
	run, rev, err := s.deps.Records.Get(ctx, job)
	if err != nil {
		return err
	}
	ctx = s.deps.Tracer.Join(ctx, run.Trace)
	d := &driven{s, run, rev}
	span := stepSpan{tracer: s.deps.Tracer}
	e := failoverrun.Event{What: failoverrun.Resumed}
	for retry := s.backoff(); ; {
		next, err := d.advance(ctx, e)
		if err != nil || next.Do == "" {
			return err
		}
		switch {
		case !next.Again:
			retry.Reset()
		case e.What == failoverrun.StepRefused:
			err = retry.Wait(ctx)
		default:
			err = clock.Sleep(ctx, s.deps.Clock, s.cfg.PollEvery)
		}
		if err != nil {
			return err
		}
		e = s.do(span.enter(ctx, d.run, next.Do), d.run, next.Do)
		span.leave(e)
		if ctx.Err() != nil {
			return ctx.Err() // the service is stopping: the step is requested again later
		}
	}
}

// advance applies an event to the run, stores it and tells of it. If somebody
// else has written the record meanwhile, an operator's request or another
// service, the event is applied to that record instead. It returns the command
// with the next step; without a step the run is at rest.
func (d *driven) advance(ctx context.Context, e failoverrun.Event) (failoverrun.Command, error) {
	for {
		e.Now = d.s.deps.Clock.Now()
		next, cmds := failoverrun.Step(d.run, e)
		if e.What != failoverrun.Resumed || len(cmds) > 0 {
			rev, err := d.s.deps.Records.Put(ctx, d.run.Job, next, d.rev)
			if cdp.Is(err, cdp.Conflict) {
				if d.run, d.rev, err = d.s.deps.Records.Get(ctx, d.run.Job); err == nil {
					continue
				}
			}
			if err != nil {
				return failoverrun.Command{}, err
			}
			d.rev = rev
		}
		d.run = next
		_, owed := next.Owed()
		if _, _, windowed := next.Due(); owed || windowed {
			d.s.kickBeside(next.Job)
		}
		d.s.tell(ctx, d.run, cmds)
		return doNext(d.run, e, cmds), ctx.Err()
	}
}

// doNext is the step among commands. An event that came late gives no command:
// then the current step is next.
func doNext(run failoverrun.Run, e failoverrun.Event, cmds []failoverrun.Command) (next failoverrun.Command) {
	for _, c := range cmds {
		if c.Do != "" {
			next = c
		}
	}
	if cur, busy := run.Current(); len(cmds) == 0 && busy && e.What != failoverrun.Resumed {
		next.Do = cur.Step
	}
	return next
}
