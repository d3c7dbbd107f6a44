package vault

import (
	"context"

	"tidemark.dev/pkg/cdp"
)

// Halt stops or resumes the intake of frames, durably: a failover in production
// halts it, its undo resumes it. A resumed journal has its replica back: the
// caller makes sure of that first.
func (g *Group) Halt(run string, halted bool) error {
	const op = "halt journal"
	g.mover.mu.Lock()
	defer g.mover.mu.Unlock()
	st := g.State()
	switch {
	case st.Sealed:
		return cdp.Errorf(cdp.Conflict, op, "", "the failover was committed; the journal has ended")
	case st.Released && st.Run != run:
		return cdp.Errorf(cdp.Conflict, op, run, "the run %s has its disks", st.Run)
	}
	st.Halted, st.Run = halted, run
	if !halted {
		st.Run, st.Released = "", false
	}
	return cdp.Wrap(g.ledger.commit(g.store.Begin(), st), op, "")
}

// Release notes, durably, that the replica is another machine's until the journal
// is resumed: base stays where it is. The journal must be halted for the run.
func (g *Group) Release(ctx context.Context, run string) error {
	const op = "release replica"
	g.mover.mu.Lock()
	defer g.mover.mu.Unlock()
	if err := g.mover.finish(ctx, op); err != nil {
		return err
	}
	st := g.State()
	switch {
	case !st.Halted:
		return cdp.Errorf(cdp.Conflict, op, run, "the journal still takes writes")
	case st.Run != run:
		return cdp.Errorf(cdp.Conflict, op, run, "the journal is halted for the run %s", st.Run)
	case st.Sealed && !st.Released:
		return cdp.Errorf(cdp.Conflict, op, run, "the failover was committed: the replica is the disk")
	case st.Released:
		return nil
	}
	if err := g.mover.replica.Sync(); err != nil {
		return cdp.Wrap(err, op, run)
	}
	st.Released = true
	return cdp.Wrap(g.ledger.commit(g.store.Begin(), st), op, run)
}

// Seal ends the journal at base: the replica is the disk from now on, and what
// was after base is void. The journal must be halted.
func (g *Group) Seal(ctx context.Context) error {
	const op = "seal journal"
	g.mover.mu.Lock()
	defer g.mover.mu.Unlock()
	if err := g.mover.finish(ctx, op); err != nil {
		return err
	}
	st := g.State()
	if !st.Halted {
		return cdp.Errorf(cdp.Conflict, op, "", "the journal still takes writes")
	}
	if _, why := g.mover.cfg.Held(g.points.usable()); why != nil && !st.Sealed {
		return cdp.Wrap(why, op, "")
	}
	st.Sealed = true
	return cdp.Wrap(g.ledger.commit(g.store.Begin(), st), op, "")
}
