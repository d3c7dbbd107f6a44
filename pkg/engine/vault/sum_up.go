package vault

import (
	"context"

	"tidemark.dev/pkg/cdp"
)

// sumUp gives every block of an adopted replica a checksum that has none yet, and notes
// that all have one then: from there on damage is found everywhere. What was damaged
// before is taken as it is; the source compared the image with its disk when it was
// adopted. It calls pace after each region, with the bytes read.
func (m *mover) sumUp(ctx context.Context, disks []cdp.Disk, pace func(n int) error) error {
	if st := m.ledger.State(); st.Summed || st.Straight {
		return nil
	}
	buf := make([]byte, cdp.RegionSize)
	for _, d := range disks {
		for x := cdp.Region(0); int64(x)*cdp.RegionSize < d.Size; x++ {
			n, err := m.sumRegion(ctx, regionKey{d.ID, x}, buf)
			if err != nil {
				return err
			}
			if err := pace(n); err != nil {
				return err
			}
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	st, err := m.steady(ctx)
	if err != nil {
		return err
	}
	st.Summed = true
	return m.ledger.commit(m.store.Begin(), st)
}

// steady is the state, with nothing on its way to the replica. The caller holds mu.
func (m *mover) steady(ctx context.Context) (State, error) {
	const op = "checksum replica"
	if err := m.ready(ctx, op); err != nil {
		return State{}, err
	}
	st := m.ledger.State()
	if !m.sums.on(st) || st.Halted {
		return st, cdp.Errorf(cdp.Conflict, op, "", "the replica is not the journal's alone")
	}
	return st, nil
}

// sumRegion stores the checksums that a region's blocks lack, and returns how much it
// read. A block of zeros needs none.
func (m *mover) sumRegion(ctx context.Context, k regionKey, buf []byte) (n int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := m.steady(ctx); err != nil {
		return 0, err
	}
	off := int64(k.r) * cdp.RegionSize
	if m.replica.IsZero(k.disk, off, cdp.RegionSize) {
		return 0, nil
	}
	x, err := m.sums.now(k)
	if err != nil {
		return 0, err
	}
	if err := m.replica.ReadAt(k.disk, buf, off); err != nil {
		return 0, err
	}
	u := m.store.Begin()
	for i, has := range x.Has {
		if block := buf[i*cdp.BlockSize : (i+1)*cdp.BlockSize]; !has && !AllZero(block) {
			u.PutSum(k.disk, cdp.Block(k.r)*cdp.BlocksPerRegion+cdp.Block(i), sumOf(block))
		}
	}
	if err := u.Commit(); err != nil {
		return 0, m.ledger.breakUnlessFull(err)
	}
	m.ledger.gen.Add(1)
	m.sums.forget()
	return len(buf), nil
}
