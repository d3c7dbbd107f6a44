package failover

import (
	"context"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/core/failoverrun"
)

// HandleCleanup handles failover.cleanup.
func (s *Service) HandleCleanup(ctx context.Context, e event.Event) error {
	var p event.FailoverCleanup
	if err := e.Into(&p); err != nil {
		return err
	}
	return s.Ask(ctx, p.Job, p.Run, recovery.Cleanup)
}

// HandleUndo handles failover.undo.
func (s *Service) HandleUndo(ctx context.Context, e event.Event) error {
	var p event.FailoverUndo
	if err := e.Into(&p); err != nil {
		return err
	}
	return s.Ask(ctx, p.Job, p.Run, recovery.Undo)
}

// HandleCommit handles failover.commit.
func (s *Service) HandleCommit(ctx context.Context, e event.Event) error {
	var p event.FailoverCommit
	if err := e.Into(&p); err != nil {
		return err
	}
	return s.Ask(ctx, p.Job, p.Run, recovery.Commit)
}

// Ask asks the job's run for cleanup, undo or commit; run, if not empty, must
// be the one that stands. A step under way comes to its end first.
func (s *Service) Ask(ctx context.Context, job, run string, g recovery.Goal) error {
	op := string(g) + " failover"
	for {
		st, rev, err := s.deps.Records.Get(ctx, job)
		switch {
		case cdp.Is(err, cdp.NotFound):
			return cdp.Errorf(cdp.NotFound, op, job, "no failover was ever started for it")
		case err != nil:
			return cdp.Wrap(err, op, job)
		case run != "" && run != st.ID:
			return cdp.Errorf(cdp.Conflict, op, job, "the run is %s, not %s", st.ID, run)
		}
		if err := st.CheckAsk(g); err != nil {
			return err
		}
		next, cmds := failoverrun.Step(st, failoverrun.Event{What: failoverrun.Asked, Goal: g, Now: s.deps.Clock.Now()})
		_, err = s.deps.Records.Put(ctx, job, next, rev)
		if cdp.Is(err, cdp.Conflict) {
			continue
		}
		if err != nil {
			return cdp.Wrap(err, op, job)
		}
		s.tell(s.deps.Tracer.Join(ctx, st.Trace), next, cmds)
		s.kick(job)
		return nil
	}
}
