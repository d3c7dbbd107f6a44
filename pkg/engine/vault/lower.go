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
	if err := m.writeBack(ctx, t, to, false); err != nil {
		if cdp.Is(err, cdp.Corrupt) {
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
