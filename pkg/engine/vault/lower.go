package vault

import (
	"context"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/history"
)

// lower is Group.Lower.
func (m *mover) lower(ctx context.Context, to cdp.Seq) error {
	const op = "lower base"
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.ready(ctx, op); err != nil {
		return err
	}
	st := m.ledger.State()
	if to >= st.Base {
		return nil
	}
	if to < st.Horizon {
		return cdp.Errorf(cdp.Invalid, op, "", "%d is before horizon %d", to, st.Horizon)
	}
	return cdp.Wrap(m.lowerTo(ctx, to), op, "")
}

func (m *mover) lowerTo(ctx context.Context, to cdp.Seq) error {
	st := m.ledger.State()
	t, err := m.chain.touched(to, st.Base)
	unknown := m.ledger.Bounds().Head < st.Base
	if err == nil && unknown {
		err = m.everTouched(t)
	}
	if err != nil {
		return err
	}
	st.Moving = to
	// Counted on both sides: a read that began with the count between them and
	// the state from before finds that the count has changed.
	m.ledger.lowers.Add(1)
	err = m.ledger.commit(m.store.Begin(), st)
	m.ledger.lowers.Add(1)
	if err != nil {
		return err
	}
	m.sums.begin(t)
	if err := m.writeBack(ctx, t, to, unknown); err != nil {
		if cdp.Is(err, cdp.Corrupt) && !unknown {
			return m.undoLower(t, st, err)
		}
		return err
	}
	st.Base = to
	if err := m.ledger.commit(m.store.Begin(), st); err != nil {
		return err
	}
	m.sums.end(t)
	return m.dropIdleFloors(ctx, t, st)
}

// everTouched adds every block that has an entry or a floor. When the newest frames are
// lost, and base had passed some of them, what they touched is among these: a block that
// had no entry got a floor.
func (m *mover) everTouched(t touched) error {
	r, err := m.index.open()
	if err != nil {
		return err
	}
	defer r.Close()
	if err := m.index.between(0, ^cdp.Seq(0), t.add); err != nil {
		return err
	}
	for _, d := range m.views.layouts.newest() {
		for x := cdp.Region(0); int64(x)*cdp.RegionSize < d.Size; x++ {
			zero, err := r.ZeroFloor(d.ID, x)
			if err != nil {
				return err
			}
			if zero {
				t.add(IndexEntry{Disk: d.ID, Whole: true, Region: x})
			}
		}
		for x := cdp.Region(0); ; x++ {
			at, _, ok, err := r.Touched(d.ID, x)
			if err != nil {
				return err
			}
			if !ok {
				break
			}
			x = at
			has, err := m.floors.of(r, d.ID, x)
			if err != nil {
				return err
			}
			for i := range cdp.BlocksPerRegion {
				if has.own.has(i) {
					t.add(IndexEntry{Disk: d.ID, Block: cdp.Block(x)*cdp.BlocksPerRegion + cdp.Block(i)})
				}
			}
		}
	}
	return nil
}

// dropIdleFloors drops the floors of blocks that have no write between horizon
// and base any more. A floor too many does no harm, so it may stop anywhere.
func (m *mover) dropIdleFloors(ctx context.Context, t touched, st State) error {
	r, err := m.index.open()
	if err != nil {
		return err
	}
	defer r.Close()
	u := m.store.Begin()
	n := 0
	commit := func() error {
		m.views.drop.Lock()
		defer m.views.drop.Unlock()
		err := u.Commit()
		m.ledger.gen.Add(1)
		u, n = m.store.Begin(), 0
		if err != nil {
			u.Discard()
			return m.ledger.breakUnlessFull(err)
		}
		return nil
	}
	defer m.floors.forget(t)
	for _, k := range t.keys() {
		if err := ctx.Err(); err != nil {
			break
		}
		has, err := m.floors.of(r, k.disk, k.r)
		if err != nil {
			u.Discard()
			return err
		}
		for i := range cdp.BlocksPerRegion {
			b := cdp.Block(k.r)*cdp.BlocksPerRegion + cdp.Block(i)
			if has.zero || !has.own.has(i) || !t[k].has(i) { // a zero floor stays until horizon passes
				continue
			}
			newest, err := r.newest(k.disk, b, st.Base)
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
		if n >= m.cfg.ForgetRecords {
			if err := commit(); err != nil {
				return err
			}
		}
	}
	if err := commit(); err != nil {
		return err
	}
	u.Discard()
	return nil
}
