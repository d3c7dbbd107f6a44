package journal

import (
	"context"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
)

// halt ends the intake for a failover run.
func (g *group) halt(run string) (cdp.Bounds, error) {
	defer g.hold()()
	if st := g.vault.State(); !st.Halted || st.Run != run {
		// What is being stored gets there first; nothing comes after it.
		g.restartIntake()
		if err := g.vault.Halt(run, true); err != nil {
			return cdp.Bounds{}, err
		}
		g.restartIntake()
	}
	return g.vault.Bounds(), nil
}

// resume takes writes again, and the images back, if they were let go. They may
// still be on their way: Transient.
func (g *group) resume(run string) (cdp.Bounds, error) {
	const op = "resume journal"
	defer g.hold()()
	st := g.vault.State()
	if !st.Halted {
		return g.vault.Bounds(), nil
	}
	if st.Released && !st.Sealed && st.Run == run {
		if err := g.replica.takeBack(); cdp.Is(err, cdp.NotFound) {
			return cdp.Bounds{}, &cdp.Error{Op: op, Kind: cdp.Transient, Subject: string(g.id), Cause: err,
				Hint: "the replica's disks must be back at this machine"}
		} else if err != nil {
			return cdp.Bounds{}, cdp.Wrap(err, op, string(g.id))
		}
	}
	if err := g.vault.Halt(run, false); err != nil {
		return cdp.Bounds{}, err
	}
	g.restartIntake()
	return g.vault.Bounds(), nil
}

// release lets the halted group's images go. It is noted before they are
// closed, so that they are not opened again if the process ends between.
func (g *group) release(ctx context.Context, run string) error {
	defer g.hold()()
	g.mu.Lock()
	m := g.moving
	g.mu.Unlock()
	if m != nil && !m.ended() {
		return cdp.Errorf(cdp.Transient, "release replica", string(g.id), "base is on its way to write %d", m.to)
	}
	if err := g.vault.Release(ctx, run); err != nil {
		return err
	}
	return g.replica.Close()
}

// here is nil unless the images were let go.
func (g *group) here(op string) error {
	if st := g.vault.State(); st.Released {
		return cdp.Errorf(cdp.Conflict, op, string(g.id), "the failover run %s has the replica's disks", st.Run).
			WithHint("end the run first: tidemark failover undo " + string(g.id))
	}
	return nil
}

// openView opens an export.
func (g *group) openView(r api.OpenRequest) (api.Export, error) {
	if err := g.here("open export"); err != nil {
		return api.Export{}, err
	}
	return g.exports.openView(r)
}

// fill writes a point onto other disks.
func (g *group) fill(r api.FillRequest) (api.MoveReply, error) {
	if err := g.here("fill disks"); err != nil {
		return api.MoveReply{}, err
	}
	return g.fills.fill(r)
}
