package failover

import (
	"cmp"
	"context"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/core/failoverrun"
)

// HandleStart handles failover.start.
func (s *Service) HandleStart(ctx context.Context, e event.Event) error {
	var p event.FailoverStart
	if err := e.Into(&p); err != nil {
		return err
	}
	return s.begin(ctx, failoverrun.Request{Job: p.Job, ID: p.Run, Mode: p.Mode, To: p.To, Point: p.Point, At: p.At, Listen: p.Listen}, e.Time)
}

// startWithin is for how long a start that cannot be looked into yet is tried
// again. After that it is refused: no failover begins by itself when nobody
// waits for it any more.
const startWithin = time.Minute

// Start begins a run, or refuses it having changed nothing: Invalid, a bad
// request; NotFound, no such job, group or point; Conflict, another run or a
// journal that cannot; Duplicate, the run was begun already.
func (s *Service) Start(ctx context.Context, r failoverrun.Request) error {
	return s.begin(ctx, r, s.deps.Clock.Now())
}

// begin is Start of what was asked for at a time.
func (s *Service) begin(ctx context.Context, r failoverrun.Request, asked time.Time) error {
	const op = "start failover"
	if err := r.Check(); err != nil {
		return err
	}
	var old *failoverrun.Run
	st, rev, err := s.deps.Records.Get(ctx, r.Job)
	switch {
	case err == nil:
		old = &st
	case !cdp.Is(err, cdp.NotFound):
		return cdp.Wrap(err, op, r.Job)
	}
	if err := failoverrun.Admit(old, r); err != nil {
		if cdp.Is(err, cdp.Duplicate) {
			s.kick(r.Job)
		}
		return err
	}
	if err := s.possible(ctx, r); err != nil {
		if late := s.deps.Clock.Now().Sub(asked); cdp.Is(err, cdp.Transient) && late > startWithin {
			return cdp.Errorf(cdp.Conflict, op, r.Job, "given up after %s, nothing was begun: %w", late.Round(time.Second), err).
				WithHint(cmp.Or(cdp.HintOf(err), "ask again when that is over"))
		}
		return err
	}
	next, cmds := failoverrun.Begin(r, s.deps.Clock.Now())
	next.Trace = s.deps.Tracer.Carry(ctx)
	if _, err = s.deps.Records.Put(ctx, r.Job, next, rev); cdp.Is(err, cdp.Conflict) {
		return s.raced(ctx, r)
	}
	if err != nil {
		return cdp.Wrap(err, op, r.Job)
	}
	s.tell(ctx, next, cmds)
	s.kick(r.Job)
	return nil
}

// raced is the word to a run that came second by a hair.
func (s *Service) raced(ctx context.Context, r failoverrun.Request) error {
	st, _, err := s.deps.Records.Get(ctx, r.Job)
	if err == nil {
		err = failoverrun.Admit(&st, r)
	}
	if err == nil {
		err = cdp.Errorf(cdp.Transient, "start failover", r.Job, "another run came and went meanwhile")
	}
	return err
}

// possible looks whether the run can succeed, before anything is touched.
func (s *Service) possible(ctx context.Context, r failoverrun.Request) error {
	const op = "start failover"
	job, err := s.deps.Jobs.Get(ctx, r.Job)
	switch {
	case cdp.Is(err, cdp.NotFound):
		return cdp.Errorf(cdp.NotFound, op, r.Job, "there is no such job").WithHint("see what there is: tidemark get job")
	case err != nil:
		return cdp.Wrap(err, op, r.Job)
	case r.To == recovery.ToVM && job.Target.VM == "":
		return cdp.Errorf(cdp.Conflict, op, r.Job, "the job has no replica VM").
			WithHint("jobs on VMs have one; the disks of this one can be had with --to nbd")
	}
	g, err := s.deps.Journal.Status(ctx, cdp.GroupID(r.Job))
	if err != nil {
		return cdp.Wrap(err, op, r.Job)
	}
	if g.State == event.JournalSealed {
		return cdp.Errorf(cdp.Conflict, op, r.Job, "the journal is sealed: the replica was made the disk")
	}
	if r.Planned {
		return nil
	}
	_, err = s.deps.Journal.Resolve(ctx, failoverrun.Run{Request: r}.Want())
	return cdp.Wrap(err, op, r.Job)
}
