package failover

import (
	"context"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/core/failoverrun"
)

// drive does the steps of a job's run until it rests, or ctx ends. What the bus
// refuses is tried again for ever.
func (s *Service) drive(ctx context.Context, job string) {
	for wait := s.cfg.RetryMin; ctx.Err() == nil; wait = min(2*wait, s.cfg.RetryMax) {
		err := s.steps(ctx, job)
		if err == nil {
			return
		}
		if ctx.Err() == nil {
			s.deps.Notify(cdp.Wrap(err, "drive failover of", job))
		}
		if !s.pause(ctx, wait) {
			return
		}
	}
}

// steps goes on with the run from its record. An error is about the record.
func (s *Service) steps(ctx context.Context, job string) error {
	st, rev, err := s.deps.Records.Get(ctx, job)
	if err != nil {
		return err
	}
	ctx = s.deps.Tracer.Join(ctx, st.Trace)
	e := failoverrun.Event{What: failoverrun.Resumed}
	wait := s.cfg.RetryMin
	for {
		next, step, again, err := s.advance(ctx, &st, &rev, e)
		if err != nil || !next {
			return err
		}
		if again {
			d := s.cfg.PollEvery
			if e.What == failoverrun.StepRefused {
				d, wait = wait, min(2*wait, s.cfg.RetryMax)
			}
			if !s.pause(ctx, d) {
				return ctx.Err()
			}
		} else {
			wait = s.cfg.RetryMin
		}
		e = s.do(ctx, st, step)
		if ctx.Err() != nil {
			return ctx.Err() // the service stops: the step is asked again later
		}
	}
}

// advance applies an event to the run, writes it, and tells. If somebody else
// has written meanwhile, an operator's wish or another service, the event is
// applied to what stands there now.
func (s *Service) advance(ctx context.Context, st *failoverrun.Run, rev *uint64, e failoverrun.Event) (more bool, step recovery.Step, again bool, err error) {
	for {
		e.Now = s.deps.Clock.Now()
		next, cmds := failoverrun.Step(*st, e)
		if e.What != failoverrun.Resumed || len(cmds) > 0 {
			var r uint64
			if r, err = s.deps.Records.Put(ctx, st.Job, next, *rev); cdp.Is(err, cdp.Conflict) {
				if *st, *rev, err = s.deps.Records.Get(ctx, st.Job); err != nil {
					return false, "", false, err
				}
				continue
			}
			if err != nil {
				return false, "", false, err
			}
			*rev = r
		}
		*st = next
		for _, c := range cmds {
			if c.Do != "" {
				more, step, again = true, c.Do, c.Again
			}
		}
		if len(cmds) == 0 { // the event was late: go on with what is at hand
			if cur, busy := st.Current(); busy && e.What != failoverrun.Resumed {
				more, step = true, cur.Step
			}
		}
		s.tell(ctx, *st, cmds)
		return more, step, again, ctx.Err()
	}
}

// tell emits what the commands tell, trying for as long as the service runs.
func (s *Service) tell(ctx context.Context, st failoverrun.Run, cmds []failoverrun.Command) {
	for _, c := range cmds {
		var p event.Payload
		switch {
		case c.Tell != nil:
			p = event.FailoverStep{Job: st.Job, Run: st.ID, Step: c.Tell.Step, State: c.Tell.Status, Text: cut(c.Tell.Text)}
		case c.Finish != "":
			p = event.FailoverFinished{Job: st.Job, Run: st.ID, State: c.Finish, Result: cut(st.Summary())}
		default:
			continue
		}
		for wait := s.cfg.RetryMin; ; wait = min(2*wait, s.cfg.RetryMax) {
			ectx, cancel := context.WithTimeout(ctx, 5*time.Second)
			err := s.deps.Events.Emit(ectx, p)
			cancel()
			if err == nil || cdp.Is(err, cdp.Invalid) || ctx.Err() != nil {
				if err != nil {
					s.deps.Notify(err)
				}
				break
			}
			s.deps.Notify(err)
			if !s.pause(ctx, wait) {
				return
			}
		}
	}
}

// cut keeps a text within what the schema takes.
func cut(s string) string { return s[:min(len(s), 4000)] }
