package journal

import (
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
)

// status is what people and services see of the group.
func (g *group) status() (api.GroupStatus, error) {
	ps := g.points()
	usage, damage := g.vault.Usage()
	if found := g.keeper.damage(); found != nil {
		damage = found
	}
	free, err := g.deps.Space.Free()
	if err != nil {
		return api.GroupStatus{}, err
	}
	spec, s, o, newest := g.job.now(), g.vault.Stored(), g.clock.offset(), g.intake.newestFrame()
	st := api.GroupStatus{Group: g.job.id, Mode: spec.Mode, Bounds: g.vault.Bounds(),
		Frame: s.No, Epoch: s.Epoch, Received: newest.received, Sealed: newest.sealed, Consistent: newest.complete, Points: len(ps),
		Bytes: usage.OnDisk, Limit: spec.Limit, FreeBytes: free, ClockOffset: o.Ahead, ClockBound: o.Bound, Disks: g.vault.Disks()}
	st.State, st.Reason = g.shown()
	st.Lock = g.lock.status(g.vault.Points)
	st.Signature = g.intake.signed.status()
	st.Stuck, st.Unserved = g.keeper.stuckBy(), g.exports.unserved()
	if damage != nil {
		st.Damage = damage.Error()
	}
	if bad, err := g.markDamaged(ps); err == nil && len(bad) > 0 {
		st.Damage += "; that is so for the recovery points " + cdp.PointNames(bad)
	}
	if st.Losses, err = g.deps.Stores.Losses(g.job.id); err != nil && damage == nil {
		st.Damage = err.Error()
	}
	st.Scrubbed = g.scrub.complete()
	if len(ps) > 0 {
		st.Oldest, st.Newest = &ps[0], &ps[len(ps)-1]
	}
	return st, nil
}

// cursor is where a capturer goes on.
func (g *group) cursor() api.Cursor {
	s := g.vault.Stored()
	c := api.Cursor{Frame: s.No, Head: s.Head, Epoch: s.Epoch}
	if s.No > 0 {
		c.Hash = s.Hash[:]
	}
	return c
}
