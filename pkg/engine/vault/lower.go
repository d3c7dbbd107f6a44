package vault

import (
	"context"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/history"
)

// Lower moves base down to seq to: every block written since gets back what it
// held then, once. After a crash at any moment Open does it again. Views at any
// point stay right all the while, for the blocks it writes all have floors.
func (g *Group) Lower(ctx context.Context, to cdp.Seq) error {
	const op = "lower base"
	g.move.Lock()
	defer g.move.Unlock()
	if err := g.ready(ctx, op); err != nil {
		return err
	}
	st := g.State()
	if to >= st.Base {
		return nil
	}
	if to < st.Horizon {
		return cdp.Errorf(cdp.Invalid, op, "", "%d is before horizon %d", to, st.Horizon)
	}
	return cdp.Wrap(g.lowerTo(ctx, to), op, "")
}

func (g *Group) lowerTo(ctx context.Context, to cdp.Seq) error {
	st := g.State()
	t, err := g.touchedIn(to, st.Base)
	if err != nil {
		return err
	}
	st.Moving = to
	// Counted on both sides: a read that began with the count between them and
	// the state from before finds that the count has changed.
	g.lowers.Add(1)
	err = g.setState(g.store.Begin(), st)
	g.lowers.Add(1)
	if err != nil {
		return err
	}
	if err := g.writeBack(ctx, t, to); err != nil {
		return err
	}
	st.Base = to
	if err := g.setState(g.store.Begin(), st); err != nil {
		return err
	}
	return g.dropIdleFloors(ctx, t, st)
}

// writeBack brings the touched blocks of the replica to seq to.
func (g *Group) writeBack(ctx context.Context, t touched, to cdp.Seq) error {
	v := &View{g: g, at: to}
	defer v.Close()
	buf, region := g.regions.Get().(*[cdp.RegionSize]byte), g.regions.Get().(*[cdp.RegionSize]byte)
	defer g.regions.Put(buf)
	defer g.regions.Put(region)
	w := runWriter{replica: g.replica, buf: buf[:0]}
	for _, k := range t.keys() {
		if err := ctx.Err(); err != nil {
			return err
		}
		for i := 0; i < cdp.BlocksPerRegion; i++ {
			first := i
			for i < cdp.BlocksPerRegion && t[k].has(i) {
				i++
			}
			if i == first {
				continue
			}
			p, off := region[:(i-first)*cdp.BlockSize], int64(k.r)*cdp.RegionSize+int64(first)*cdp.BlockSize
			if err := v.ReadAt(k.disk, p, off); err != nil {
				return err
			}
			if err := w.write(k.disk, p, off); err != nil {
				return err
			}
		}
	}
	if err := w.flush(); err != nil {
		return err
	}
	return g.replica.Sync()
}

// dropIdleFloors gives back the floors of blocks that have no write between
// horizon and base any more. A floor too many is no harm, so it may be cut
// short anywhere.
func (g *Group) dropIdleFloors(ctx context.Context, t touched, st State) error {
	r, err := g.store.Reader()
	if err != nil {
		return err
	}
	defer r.Close()
	u := g.store.Begin()
	n := 0
	commit := func() error {
		g.drop.Lock()
		defer g.drop.Unlock()
		err := u.Commit()
		g.gen.Add(1)
		u, n = g.store.Begin(), 0
		return err
	}
	defer g.forgetPresence(t)
	for _, k := range t.keys() {
		if err := ctx.Err(); err != nil {
			break
		}
		has, err := g.floorsOf(r, k.disk, k.r)
		if err != nil {
			u.Discard()
			return err
		}
		for i := range cdp.BlocksPerRegion {
			b := cdp.Block(k.r)*cdp.BlocksPerRegion + cdp.Block(i)
			if has.zero || !has.own.has(i) || !t[k].has(i) { // a zero floor stays until horizon passes
				continue
			}
			newest, err := g.newestEntry(r, k.disk, b, st.Base)
			if err != nil {
				u.Discard()
				return err
			}
			if newest <= st.Horizon {
				newest = 0
			}
			if history.AfterLower(newest, st.Base) == history.DropFloor {
				u.DropFloor(k.disk, b)
				n++
			}
		}
		if n >= g.cfg.ForgetRecords {
			if err := commit(); err != nil {
				return g.breakOn(err)
			}
		}
	}
	if err := commit(); err != nil {
		return g.breakOn(err)
	}
	u.Discard()
	return nil
}

// newestEntry is the seq of the newest write of a block at or below upTo, in
// the store or the tail; 0 for none.
func (g *Group) newestEntry(r Reader, disk cdp.DiskID, b cdp.Block, upTo cdp.Seq) (cdp.Seq, error) {
	var newest cdp.Seq
	see := func(e history.Entry) bool { newest = max(newest, e.Seq); return false }
	g.mu.RLock()
	for _, t := range [...]*tail{g.active, g.flushing} {
		if t != nil {
			t.entries(disk, b, upTo, see)
			t.wholesOf(disk, b.Region(), upTo, see)
		}
	}
	g.mu.RUnlock()
	if err := r.Entries(disk, b, upTo, see); err != nil {
		return 0, err
	}
	return newest, r.Wholes(disk, b.Region(), upTo, func(s cdp.Seq) bool { newest = max(newest, s); return false })
}
