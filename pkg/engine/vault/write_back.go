package vault

import (
	"context"

	"tidemark.dev/pkg/cdp"
)

// writeBack brings the touched blocks of the replica to seq to, and stores their
// checksums, some regions' at a time. With anyway, a block whose content is lost
// keeps what it holds, and counts as damaged.
func (m *mover) writeBack(ctx context.Context, t touched, to cdp.Seq, anyway bool) error {
	v := m.views.own(to)
	defer v.Close()
	buf, region := regionBuffers.Get().(*[cdp.RegionSize]byte), regionBuffers.Get().(*[cdp.RegionSize]byte)
	defer regionBuffers.Put(buf)
	defer regionBuffers.Put(region)
	w := runWriter{replica: m.replica, sums: m.store.Begin(), buf: buf[:0]}
	defer func() { w.sums.Discard() }()
	for n, k := range t.keys() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if n%storeEvery == storeEvery-1 {
			if err := m.storeSums(&w); err != nil {
				return err
			}
		}
		for i := 0; i < cdp.BlocksPerRegion; i++ {
			first := i
			for i < cdp.BlocksPerRegion && t[k].has(i) {
				i++
			}
			if i == first {
				continue
			}
			b := cdp.Block(k.r)*cdp.BlocksPerRegion + cdp.Block(first)
			p := region[:(i-first)*cdp.BlockSize]
			err := v.ReadAt(k.disk, p, b.Offset())
			switch {
			case anyway && cdp.Is(err, cdp.Corrupt):
				err = m.writeReadable(v, &w, k.disk, b, p)
			case err == nil:
				err = w.write(k.disk, p, b.Offset())
			}
			if err != nil {
				return err
			}
		}
	}
	if err := w.flush(); err != nil {
		return err
	}
	if err := m.storeSums(&w); err != nil {
		return err
	}
	return m.replica.Sync()
}

// writeReadable writes those of the blocks from b on that can be read; p is memory
// for them. The others are made damaged.
func (m *mover) writeReadable(v *View, w *runWriter, disk cdp.DiskID, b cdp.Block, p []byte) error {
	for len(p) > 0 {
		block := p[:cdp.BlockSize]
		err := v.ReadAt(disk, block, b.Offset())
		switch {
		case cdp.Is(err, cdp.Corrupt):
			if err = m.replica.ReadAt(disk, block, b.Offset()); err == nil {
				w.sums.PutSum(disk, b, ^sumOf(block))
			}
		case err == nil:
			err = w.write(disk, block, b.Offset())
		}
		if err != nil {
			return err
		}
		p, b = p[cdp.BlockSize:], b+1
	}
	return nil
}

// storeEvery is after how many regions their checksums are stored.
const storeEvery = 128

// storeSums stores the checksums that w noted.
func (m *mover) storeSums(w *runWriter) error {
	u := w.sums
	w.sums = m.store.Begin()
	if err := u.Commit(); err != nil {
		return m.ledger.breakUnlessFull(err)
	}
	m.ledger.gen.Add(1)
	return nil
}

// undoLower takes a move down back that cannot be completed, because the content
// of a block is lost: base stays where it is. It returns why.
func (m *mover) undoLower(t touched, st State, why error) error {
	if err := m.writeBack(context.Background(), t, st.Base, true); err != nil {
		return err
	}
	st.Moving = st.Base
	if err := m.ledger.commit(m.store.Begin(), st); err != nil {
		return err
	}
	m.sums.end(t)
	return why
}
