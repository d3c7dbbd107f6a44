package failover

import (
	"cmp"
	"context"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/approval"
	"tidemark.dev/pkg/core/failoverrun"
)

// HandleCleanup handles failover.cleanup.
func (s *Service) HandleCleanup(ctx context.Context, e event.Event) error {
	var p event.FailoverCleanup
	if err := e.Into(&p); err != nil {
		return err
	}
	var v *failoverrun.Verdict
	if p.Verdict != "" {
		if err := cdp.CheckVerdict(p.Verdict, p.Note); err != nil {
			return err
		}
		v = &failoverrun.Verdict{Verdict: p.Verdict, Note: p.Note, By: cmp.Or(p.By, e.Source)}
	}
	return s.end(ctx, p.Job, p.Run, failoverrun.Event{Goal: recovery.Cleanup, Verdict: v}, p.Force)
}

// HandleUndo handles failover.undo.
func (s *Service) HandleUndo(ctx context.Context, e event.Event) error {
	var p event.FailoverUndo
	if err := e.Into(&p); err != nil {
		return err
	}
	return s.end(ctx, p.Job, p.Run, failoverrun.Event{Goal: recovery.Undo}, p.Force)
}

// HandleCommit handles failover.commit.
func (s *Service) HandleCommit(ctx context.Context, e event.Event) error {
	var p event.FailoverCommit
	if err := e.Into(&p); err != nil {
		return err
	}
	return s.end(ctx, p.Job, p.Run, failoverrun.Event{Goal: recovery.Commit}, p.Force)
}

// end is Ask, unless somebody uses what the end of the run takes away and force is
// not given.
func (s *Service) end(ctx context.Context, job, id string, asked failoverrun.Event, force bool) error {
	g := asked.Goal
	if g == recovery.Commit {
		if err := s.unlocked(ctx, job); err != nil {
			return err
		}
		if err := s.agreed(ctx, job); err != nil {
			return err
		}
	}
	if !force {
		if err := s.unused(ctx, job, g); err != nil {
			return err
		}
	}
	return s.ask(ctx, job, id, asked)
}

// unlocked is Conflict while a retention lock holds points that a commit would make
// worthless. The journal refuses that itself, when the run could not be undone any more.
func (s *Service) unlocked(ctx context.Context, job string) error {
	st, err := s.deps.Journal.Status(ctx, cdp.GroupID(job))
	if cdp.Is(err, cdp.NotFound) || err == nil && (st.Lock == nil || st.Lock.Left == 0 || st.State == event.JournalSealed) {
		return nil
	}
	if err == nil {
		left := spec.Duration(st.Lock.Left.Round(time.Second))
		err = cdp.Errorf(cdp.Conflict, "check retention lock", job, "the retention lock holds recovery points for another %s, and a commit would make them worthless", left).
			WithHint("leave the failover uncommitted until then: what runs goes on to run")
	}
	return cdp.Wrap(err, string(recovery.Commit)+" failover", job)
}

// agreed is Conflict unless two persons agreed that the job's run is committed, where the
// site asks for that. A commit that has begun goes on.
func (s *Service) agreed(ctx context.Context, job string) error {
	if s.deps.Approvals == nil {
		return nil
	}
	run, _, err := s.deps.Records.Get(ctx, job)
	if cdp.Is(err, cdp.NotFound) || err == nil && run.CheckAsk(recovery.Commit) != nil {
		return nil // which is refused, or nothing new
	}
	if err == nil {
		err = s.deps.Approvals.Agreed(ctx, approval.Act{What: approval.Commit, Job: job, Of: "run " + run.ID})
	}
	return cdp.Wrap(err, string(recovery.Commit)+" failover", job)
}

// unused is Conflict while something of the group is in use that the end of its run
// takes away. A journal that does not answer is no reason to refuse an undo or a
// cleanup: it serves nothing that could be used.
func (s *Service) unused(ctx context.Context, job string, g recovery.Goal) error {
	err := s.settled(ctx, func() error {
		run, _, err := s.deps.Records.Get(ctx, job)
		if err != nil || run.Goal != recovery.Recover || run.CheckAsk(g) != nil { // refused, or begun already
			return nil
		}
		open, err := s.deps.Exports.ListExports(ctx, cdp.GroupID(job))
		switch {
		case err == nil:
			return failoverrun.Unused(run, g, open.Exports)
		case g != recovery.Commit && ctx.Err() == nil:
			return nil
		}
		return err
	})
	return cdp.Wrap(err, string(g)+" failover", job)
}

// settled asks until the answer is no Conflict, for a short time: a client that has
// just gone may still be seen for a moment.
func (s *Service) settled(ctx context.Context, ask func() error) error {
	over := s.deps.Clock.Now().Add(s.cfg.Grace)
	for {
		err := ask()
		if !cdp.Is(err, cdp.Conflict) || !s.deps.Clock.Now().Before(over) {
			return err
		}
		if err := clock.Sleep(ctx, s.deps.Clock, s.cfg.PollEvery); err != nil {
			return err
		}
	}
}

// Ask requests cleanup, undo or commit of the job's run; id, if not empty, must
// be that run's. The current step is finished first. The errors are those of
// failoverrun.Run.CheckAsk, and NotFound where the job has no run.
func (s *Service) Ask(ctx context.Context, job, id string, g recovery.Goal) error {
	return s.ask(ctx, job, id, failoverrun.Event{Goal: g})
}

// ask is Ask, with what else an event of failoverrun.Asked says.
func (s *Service) ask(ctx context.Context, job, id string, asked failoverrun.Event) error {
	g := asked.Goal
	op := string(g) + " failover"
	for {
		run, rev, err := s.deps.Records.Get(ctx, job)
		switch {
		case cdp.Is(err, cdp.NotFound):
			return cdp.Errorf(cdp.NotFound, op, job, "the job has never been failed over")
		case err != nil:
			return cdp.Wrap(err, op, job)
		case id != "" && id != run.ID:
			return cdp.Errorf(cdp.Conflict, op, job, "the current run is %s, not %s", run.ID, id)
		}
		if err := run.CheckAsk(g); err != nil {
			return err
		}
		asked.What, asked.Now = failoverrun.Asked, s.deps.Clock.Now()
		next, cmds := failoverrun.Step(run, asked)
		_, err = s.deps.Records.Put(ctx, job, next, rev)
		if cdp.Is(err, cdp.Conflict) {
			continue
		}
		if err != nil {
			s.doubt(job)
			return cdp.Wrap(err, op, job)
		}
		s.tell(s.deps.Tracer.Join(ctx, run.Trace), next, cmds)
		s.kick(job)
		return nil
	}
}
