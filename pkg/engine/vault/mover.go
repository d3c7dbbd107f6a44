package vault

import (
	"context"
	"sync"

	"tidemark.dev/pkg/cdp"
)

// regionBuffers are *[cdp.RegionSize]byte, shared by all groups: each holds one only while
// it moves base, and few of a thousand do at a time.
var regionBuffers = sync.Pool{New: func() any { return new([cdp.RegionSize]byte) }}

// mover moves base and horizon, one move at a time.
type mover struct {
	cfg     Config
	store   Store
	replica Replica
	ledger  *ledger
	index   *index
	chain   chain
	points  *pointList
	views   *views
	sums    *sums

	// mu is held during a move, and by code that changes ledger.state. It is the
	// outermost lock.
	mu     sync.Mutex
	floors floors
	// patches and arena are the memory of the steps of one raise.
	patches []patch
	arena   []byte
}

func newMover(g *Group, replica Replica, cfg Config) *mover {
	return &mover{cfg: cfg, store: g.store, replica: replica, ledger: g.ledger, index: g.index, chain: g.chain,
		points: g.points, views: g.views, sums: g.sums,
		floors: floors{store: g.store, replica: replica, ledger: g.ledger, sums: g.sums, most: cfg.StepBytes}}
}

// finish finishes a move that was interrupted, by a crash or by the end of its
// context. Nothing else may move before. The caller holds mu.
func (m *mover) finish(ctx context.Context, op string) error {
	if err := m.ledger.check(op); err != nil {
		return err
	}
	var err error
	switch s := m.ledger.State(); {
	case s.Moving > s.Base:
		err = m.raiseTo(ctx, s.Moving, s.Horizon > s.Base)
	case s.Moving < s.Base:
		err = m.lowerTo(ctx, s.Moving)
		if now := m.ledger.State(); cdp.Is(err, cdp.Corrupt) && now.Moving == now.Base {
			err = nil // it was taken back
		}
	}
	return cdp.Wrap(err, op, "finish an interrupted move of base")
}

// ready is finish for a move, which needs the replica.
func (m *mover) ready(ctx context.Context, op string) error {
	if err := m.finish(ctx, op); err != nil {
		return err
	}
	if st := m.ledger.State(); st.Released {
		return cdp.Errorf(cdp.Conflict, op, "", "the run %s has the replica's disks", st.Run)
	}
	return nil
}
