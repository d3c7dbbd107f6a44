package journal

import (
	"context"
	"slices"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
)

// halt ends the intake for a failover run.
func (g *group) halt(run string) (cdp.Bounds, error) {
	defer g.keeper.hold()()
	if st := g.vault.State(); !st.Halted || st.Run != run {
		// What is being stored gets there first; nothing comes after it.
		g.intake.restart()
		if err := g.vault.Halt(run, true); err != nil {
			return cdp.Bounds{}, err
		}
		g.intake.restart()
	}
	return g.vault.Bounds(), nil
}

// resume takes writes again, and the images back, if they were released. They
// may still be on their way: Transient.
func (g *group) resume(run string) (cdp.Bounds, error) {
	const op = "resume journal"
	defer g.keeper.hold()()
	st := g.vault.State()
	if !st.Halted {
		return g.vault.Bounds(), nil
	}
	if st.Released && !st.Sealed && st.Run == run {
		if err := g.replica.takeBack(); cdp.Is(err, cdp.NotFound) {
			return cdp.Bounds{}, &cdp.Error{Op: op, Kind: cdp.Transient, Subject: string(g.job.id), Cause: err,
				Hint: "attach the replica's disks to this machine again"}
		} else if err != nil {
			return cdp.Bounds{}, cdp.Wrap(err, op, string(g.job.id))
		}
	}
	if err := g.vault.Halt(run, false); err != nil {
		return cdp.Bounds{}, err
	}
	g.intake.restart()
	return g.vault.Bounds(), nil
}

// release releases the halted group's images. It is noted before they are
// closed, so that they are not opened again if the process ends between.
func (g *group) release(ctx context.Context, run string) error {
	defer g.keeper.hold()()
	if to, busy := g.base.underway(); busy {
		return cdp.Errorf(cdp.Transient, "release replica", string(g.job.id), "base is being moved to write %d", to)
	}
	if err := g.vault.Release(ctx, run); err != nil {
		return err
	}
	return g.replica.Close()
}

// absorb makes an export's writes part of the replica. There is no undo from
// here on: the journal is sealed first, durably.
func (g *group) absorb(ctx context.Context, id string) (api.MoveReply, error) {
	const op = "absorb export"
	open := g.exports.list()
	if i := slices.IndexFunc(open, func(e api.Export) bool { return e.ID == id }); i >= 0 {
		if b := g.vault.Bounds(); b.Base != open[i].Seq {
			return api.MoveReply{}, cdp.Errorf(cdp.Conflict, op, id, "the replica is at write %d, the export at %d: move base first", b.Base, open[i].Seq)
		}
		if err := g.exports.served(id); err != nil {
			return api.MoveReply{}, cdp.Wrap(err, op, id)
		}
		if err := g.vault.Seal(ctx); err != nil {
			return api.MoveReply{}, err
		}
		if err := g.exports.closeOthers(id); err != nil {
			return api.MoveReply{}, cdp.Wrap(err, op, id)
		}
		if err := g.exports.absorb(id, g.replica); err != nil {
			return api.MoveReply{}, cdp.Wrap(err, op, id)
		}
	}
	return api.MoveReply{Done: true, Bounds: g.vault.Bounds(), Moved: 1, Total: 1}, nil
}

// seal ends the journal: the images are the disks from now on. They are closed, so
// that their locks keep nobody away any more.
func (g *group) seal(ctx context.Context) (api.SealReply, error) {
	err := g.vault.Seal(ctx)
	if err == nil {
		err = g.exports.closeOthers("")
	}
	if err == nil {
		err = g.replica.Close()
	}
	return api.SealReply{Paths: g.job.now().Paths}, err
}

// readable is nil as long as the replica is the journal's: its points are read from
// both.
func (g *group) readable(op string) error {
	switch st := g.vault.State(); {
	case st.Sealed:
		return cdp.Errorf(cdp.Conflict, op, string(g.job.id), "the failover was committed: the replica is the disk now, and no longer holds what the recovery points need").
			WithHint("read the replica itself; to protect it, apply a job whose source it is")
	case st.Released:
		return cdp.Errorf(cdp.Conflict, op, string(g.job.id), "the failover run %s has the replica's disks", st.Run).
			WithHint("end the run first: tidemark failover undo " + string(g.job.id))
	}
	return nil
}

// openView opens an export.
func (g *group) openView(r api.OpenRequest) (api.Export, error) {
	if err := g.readable("open export"); err != nil {
		return api.Export{}, err
	}
	return g.exports.openView(r)
}

// fill writes a point onto other disks.
func (g *group) fill(r api.FillRequest) (api.MoveReply, error) {
	if err := g.readable("fill disks"); err != nil {
		return api.MoveReply{}, err
	}
	return g.fills.fill(r)
}
