package capture

import (
	"context"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/engine/dirty"
)

// resolve finds out what a pass has to send: what is dirty already, and what
// changed since the last pass where nobody saw it. When it returned nil that is
// dirty on disk, and the change ids of this pass are the last ones.
func (p *passes) resolve(ctx context.Context, x *pass, snap Frozen) error {
	o := p.order
	o.mu.Lock()
	bare, unsure, losses := o.bare, o.unsure, o.losses
	whole := unsure || o.book.Bytes() >= o.book.Total()
	seeding := o.book.Seeding()
	blind := x.blind || o.taps.blind
	o.mu.Unlock()

	x.verify = !bare && (p.chain.Verify || unsure || blind)
	var found *dirty.Regions
	if !whole && (blind || o.job.Mode == cdp.CBT) {
		var reset bool
		var err error
		if found, reset, err = p.changed(ctx, x); err != nil {
			return p.unreadable(ctx, err)
		}
		x.verify = x.verify || reset
		seeding = seeding || reset
	}
	if whole || seeding || len(p.chain.Disks) < len(o.disks) {
		x.alloc = p.allocated(ctx, x)
	}

	o.setDirty(x, found, whole, bare, losses)
	if err := o.book.Sync(); err != nil {
		return err
	}
	// A tap's client may have been gone before that was noticed. So these change
	// ids hold only if the changes up to them were asked for.
	if err := p.extendChain(x, snap, whole || found != nil); err != nil {
		return err
	}
	o.mu.Lock()
	x.settled = true
	o.mu.Unlock()
	return nil
}

// setDirty makes dirty what a pass found, and begins to send it. It locks.
func (o *order) setDirty(x *pass, found *dirty.Regions, whole, bare bool, losses uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case bare && o.bare:
		o.book.Narrow()
		o.book.SetRegions(x.alloc)
		o.book.SetRegions(x.later) // missed since, perhaps where nothing was
		o.book.Narrowed()
	case whole:
		o.book.SetAll()
	default:
		o.book.SetRegions(found)
	}
	o.bare = false
	if o.losses == losses {
		o.unsure = false
	}
	if o.taps.blinds == x.blinds {
		o.taps.blind = false
	}
	if o.job.Mode == cdp.CBT {
		if open, _, _ := o.out.win.OpenFrame(); open { // of another moment
			o.out.win.End(0, o.stamp())
			o.wake.Ring()
		}
		o.at = x.at.UnixNano() // its clock may have stepped back; the target keeps times in order
		x.sending = o.book.Count() > 0
	}
	if o.total = o.book.Bytes(); o.total > 0 {
		o.verified = 0
	}
	o.update("a pass begins")
}

// extendChain keeps that the pass joins the chain; with its change ids if asked.
func (p *passes) extendChain(x *pass, snap Frozen, ids bool) error {
	o := p.order
	p.chain.Pass, p.chain.At, p.chain.Verify = x.name, x.at, x.verify
	if ids {
		p.chain.Disks = nil
		for i, d := range o.disks {
			p.chain.Disks = append(p.chain.Disks, chainDisk{d.Name, d.Size, snap.Disks[i].ChangeID})
		}
	}
	if err := p.chain.save(chainPath(o.cfg, o.job.Group)); err != nil {
		p.chain = loadChain(chainPath(o.cfg, o.job.Group), o.job.Disks)
		return err
	}
	return nil
}

// changed is what changed since the last pass. reset: for some disk that is not
// known, and all of it is in the set.
func (p *passes) changed(ctx context.Context, x *pass) (set *dirty.Regions, reset bool, err error) {
	o := p.order
	set = dirty.NewRegions(o.book.Disks())
	for _, d := range o.disks {
		if d.removed {
			continue
		}
		if !p.chain.has(d.ID) { // it was added since: the target has nothing to compare it with
			set.Set(d.ID, 0, d.Size)
			continue
		}
		since := p.chain.changeID(d.ID)
		var err error = cdp.Errorf(cdp.Conflict, "ask for changes", d.Name, "its changes were not tracked at the last pass, or it was extended since")
		if since != "" {
			err = p.areas(ctx, x, d, since, set)
		}
		switch {
		case err == nil:
		case cdp.Is(err, cdp.Transient) || ctx.Err() != nil:
			return nil, false, cdp.Wrap(err, "ask for changes", d.Name)
		default: // whatever it means, the way on is the same
			reset = true
			set.Set(d.ID, 0, d.Size)
			if o.job.Mode == cdp.CBT || since != "" {
				p.alarm(AlarmReset, "all of "+d.Name+" is compared with the replica: "+err.Error())
			}
		}
	}
	return set, reset, nil
}

// allocated is what may hold something; a disk that cannot be asked is all data.
func (p *passes) allocated(ctx context.Context, x *pass) *dirty.Regions {
	o := p.order
	set := dirty.NewRegions(o.book.Disks())
	for _, d := range o.disks {
		if d.removed {
			continue
		}
		if p.areas(ctx, x, d, "*", set) != nil {
			set.Set(d.ID, 0, d.Size)
		}
	}
	return set
}

func (p *passes) areas(ctx context.Context, x *pass, d *disk, since string, set *dirty.Regions) error {
	o := p.order
	return o.deps.Snapshots.Changed(ctx, o.job.machine(), x.name, d.ID, since, func(off, n int64) {
		off, end := max(off, 0), min(off+n, d.Size)
		if off < end {
			set.Set(d.ID, off, end-off)
		}
	})
}
