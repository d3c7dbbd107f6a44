package vault

import (
	"cmp"
	"context"
	"slices"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/core/history"
)

// merge is Group.Merge.
func (m *mover) merge(ctx context.Context, to cdp.Seq) error {
	m.mu.Lock()
	b := m.ledger.Bounds()
	m.mu.Unlock()
	if b.Base != b.Horizon {
		return cdp.Errorf(cdp.Conflict, "merge", "", "base %d is not at horizon %d", b.Base, b.Horizon)
	}
	if err := m.unheld(to); err != nil {
		return cdp.Wrap(err, "merge", "")
	}
	return m.raise(ctx, to, true)
}

// raise is Group.Raise or, with forget, Group.Merge.
func (m *mover) raise(ctx context.Context, to cdp.Seq, forget bool) error {
	const op = "raise base"
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.ready(ctx, op); err != nil {
		return err
	}
	if b := m.ledger.Bounds(); to > b.Head {
		return cdp.Errorf(cdp.Invalid, op, "", "%d is beyond head %d", to, b.Head)
	}
	return cdp.Wrap(m.raiseTo(ctx, to, forget), op, "")
}

func (m *mover) raiseTo(ctx context.Context, to cdp.Seq, forget bool) error {
	defer func() { m.patches, m.arena = nil, nil }()
	for m.ledger.State().Base < to {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := m.raiseStep(to, forget); err != nil {
			return err
		}
	}
	return nil
}

// patch is one piece of a write with where its content is in a step's arena.
type patch struct {
	history.Piece
	seq  cdp.Seq
	zero bool
	at   int
}

// step is the writes of one step of base, with their content.
type step struct {
	to      cdp.Seq
	patches []patch
	arena   []byte
	again   bool // the replica may hold some of it, after an interruption
}

// touched are the blocks that the step changes.
func (s step) touched() touched {
	t := touched{}
	for _, p := range s.patches {
		t.add(IndexEntry{Disk: p.Disk, Whole: p.Whole, Region: p.Region, Block: p.Block})
	}
	return t
}

// collect reads the writes after base, up to seq to, as far as a step goes.
func (m *mover) collect(base, to cdp.Seq) (s step, err error) {
	s = step{to: base, patches: m.patches[:0], arena: m.arena[:0]}
	defer func() { m.patches, m.arena = s.patches, s.arena }()
	from, err := m.chain.frameOf(base + 1)
	if err != nil {
		return s, err
	}
	err = m.store.Frames(from, m.ledger.Stored().No, func(t frame.Table, payload []byte) error {
		for i := range t.Records {
			seq := t.First + cdp.Seq(i)
			if seq <= base {
				continue
			}
			if seq > to || len(s.arena) >= m.cfg.StepBytes || len(s.patches) >= 2*m.cfg.StepBytes/cdp.BlockSize {
				return errStop
			}
			r := t.Record(i)
			at := len(s.arena)
			if r.Kind == frame.Write {
				s.arena = append(s.arena, payload[r.PayloadOff:r.PayloadOff+r.Length]...)
			}
			history.Pieces(r.Disk, r.Offset, r.Length, r.Kind == frame.Zero, func(p history.Piece) {
				s.patches = append(s.patches, patch{p, seq, r.Kind == frame.Zero, at + int(p.Off)})
			})
			s.to = seq
		}
		return nil
	})
	if err == errStop {
		err = nil
	}
	if err == nil && s.to == base {
		err = cdp.Errorf(cdp.Corrupt, "read frames", "", "write %d is missing from the journal", base+1)
	}
	// By place, oldest first in each block; a region's zeros come before the
	// blocks of the region, and hide what is older.
	slices.SortFunc(s.patches, func(a, b patch) int {
		return cmp.Or(cmp.Compare(a.Disk, b.Disk), cmp.Compare(a.Region, b.Region),
			boolFirst(a.Whole, b.Whole), cmp.Compare(a.Block, b.Block), cmp.Compare(a.seq, b.seq))
	})
	return s, err
}

func boolFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// regions calls fn for the patches of each region.
func (s step) regions(fn func([]patch) error) error {
	for at := 0; at < len(s.patches); {
		end := at + 1
		for end < len(s.patches) && s.patches[end].Disk == s.patches[at].Disk && s.patches[end].Region == s.patches[at].Region {
			end++
		}
		if err := fn(s.patches[at:end]); err != nil {
			return err
		}
		at = end
	}
	return nil
}

func (m *mover) raiseStep(to cdp.Seq, forget bool) error {
	st := m.ledger.State()
	again := st.Moving > st.Base
	if again { // an interrupted step is done again as it was
		to = st.Moving
	}
	s, err := m.collect(st.Base, to)
	if err != nil {
		return err
	}
	s.again = again || st.Straight
	u := m.store.Begin()
	if forget {
		// No view may look below what is forgotten while the replica changes.
		lift, err := m.views.barBelow("merge", s.to)
		if err != nil {
			u.Discard()
			return err
		}
		defer lift()
		st.Horizon = max(st.Horizon, s.to)
	} else if err := m.floors.save(s); err != nil {
		u.Discard()
		return err
	}
	st.Moving = max(st.Moving, s.to)
	if err := m.ledger.commit(u, st); err != nil {
		return err
	}
	t := s.touched()
	m.sums.begin(t)
	u = m.store.Begin()
	if err := m.apply(s, u); err != nil {
		u.Discard()
		return err
	}
	st.Base = s.to
	if err := m.ledger.commit(u, st); err != nil {
		return err
	}
	m.sums.end(t)
	return nil
}
