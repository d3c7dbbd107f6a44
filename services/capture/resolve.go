package capture

import (
	"context"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/engine/dirty"
)

// resolve finds out what a pass has to send: what is dirty already, and what
// changed since the last pass where nobody saw it. When it returned nil that is
// dirty on disk, and the change ids of this pass are the last ones.
func (g *Group) resolve(ctx context.Context, p *pass, snap Frozen) error {
	f := &g.frozen
	g.mu.Lock()
	bare, unsure, losses := f.bare, f.unsure, f.losses
	whole := unsure || g.book.Bytes() >= g.book.Total()
	seeding := g.book.Seeding()
	blind := p.blind || f.blind
	g.mu.Unlock()

	p.verify = !bare && (f.chain.Verify || unsure || blind)
	var found *dirty.Regions
	if !whole && (blind || g.job.Mode == CBT) {
		var reset bool
		var err error
		if found, reset, err = g.changed(ctx, p); err != nil {
			return g.unreadable(ctx, err)
		}
		p.verify = p.verify || reset
		seeding = seeding || reset
	}
	if whole || seeding {
		p.alloc = g.allocated(ctx, p)
	}

	g.mu.Lock()
	switch {
	case bare && f.bare:
		g.book.Narrow()
		g.book.SetRegions(p.alloc)
		g.book.SetRegions(p.later) // missed since, perhaps where nothing was
		g.book.Narrowed()
	case whole:
		g.book.SetAll()
	default:
		g.book.SetRegions(found)
	}
	f.bare = false
	if f.losses == losses {
		f.unsure = false
	}
	if f.blinds == p.blinds {
		f.blind = false
	}
	if g.job.Mode == CBT {
		if open, _, _ := g.win.Open(); open { // of another moment
			g.win.End(0, g.now())
			nudge(g.wake)
		}
		f.at = max(f.at, p.at.UnixNano())
		p.at = time.Unix(0, f.at)
		p.sending = g.book.Count() > 0
	}
	if g.total = g.book.Bytes(); g.total > 0 {
		f.verified = 0
	}
	g.settle("a pass begins")
	g.mu.Unlock()

	if err := g.book.Sync(); err != nil {
		return err
	}
	f.chain.Pass, f.chain.At, f.chain.Verify = p.name, p.at, p.verify
	// That a tap's client was gone is noticed late. So these change ids hold only
	// if the changes up to them were asked for, whatever the client had told.
	if whole || found != nil {
		f.chain.Disks = nil
		for i, d := range g.disks {
			f.chain.Disks = append(f.chain.Disks, chainDisk{d.Name, d.Size, snap.Disks[i].ChangeID})
		}
	}
	if err := f.chain.save(chainPath(g.cfg, g.job.Group)); err != nil {
		f.chain = loadChain(chainPath(g.cfg, g.job.Group), g.job.Disks)
		return err
	}
	g.mu.Lock()
	p.settled = true
	g.mu.Unlock()
	return nil
}

// changed is what changed since the last pass. reset: of some disk that cannot
// be told, and all of it is in the set.
func (g *Group) changed(ctx context.Context, p *pass) (set *dirty.Regions, reset bool, err error) {
	set = dirty.NewRegions(g.book.Disks())
	for _, d := range g.disks {
		since := g.frozen.chain.changeID(d.ID)
		var err error = cdp.Errorf(cdp.Conflict, "ask for changes", d.Name, "its changes were not tracked at the last pass")
		if since != "" {
			err = g.areas(ctx, p, d, since, set)
		}
		switch {
		case err == nil:
		case cdp.Is(err, cdp.Transient) || ctx.Err() != nil:
			return nil, false, cdp.Wrap(err, "ask for changes", d.Name)
		default: // whatever it means, the way on is the same
			reset = true
			set.Set(d.ID, 0, d.Size)
			if g.job.Mode == CBT || since != "" {
				g.alarm(AlarmReset, "all of "+d.Name+" is compared with the replica: "+err.Error())
			}
		}
	}
	return set, reset, nil
}

// allocated is what may hold something; a disk that cannot be asked is all data.
func (g *Group) allocated(ctx context.Context, p *pass) *dirty.Regions {
	set := dirty.NewRegions(g.book.Disks())
	for _, d := range g.disks {
		if g.areas(ctx, p, d, "*", set) != nil {
			set.Set(d.ID, 0, d.Size)
		}
	}
	return set
}

func (g *Group) areas(ctx context.Context, p *pass, d *disk, since string, set *dirty.Regions) error {
	return g.deps.Snapshots.Changed(ctx, g.job.Group, p.name, d.ID, since, func(off, n int64) {
		off, end := max(off, 0), min(off+n, d.Size)
		if off < end {
			set.Set(d.ID, off, end-off)
		}
	})
}
