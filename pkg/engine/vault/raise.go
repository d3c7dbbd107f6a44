package vault

import (
	"cmp"
	"context"
	"slices"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/core/history"
)

// Raise moves base up to seq to, in steps of bounded memory. Each step first
// saves the floors it needs, then writes the replica, then moves base; after a
// crash at any moment Open does the step again. It returns when base is there,
// or ctx ends between two steps.
func (g *Group) Raise(ctx context.Context, to cdp.Seq) error {
	return g.raise(ctx, to, false)
}

// Merge moves base and horizon together up to seq to: what was before it is
// forgotten, so no floors are saved and every block is written once. It needs
// base to stand at horizon, as it does in roll-forward mode; else use Raise and
// Retain. The space is given back by Retain(to).
func (g *Group) Merge(ctx context.Context, to cdp.Seq) error {
	g.move.Lock()
	b := g.Bounds()
	g.move.Unlock()
	if b.Base != b.Horizon {
		return cdp.Errorf(cdp.Conflict, "merge", "", "base %d is not at horizon %d", b.Base, b.Horizon)
	}
	return g.raise(ctx, to, true)
}

func (g *Group) raise(ctx context.Context, to cdp.Seq, forget bool) error {
	const op = "raise base"
	g.move.Lock()
	defer g.move.Unlock()
	if err := g.ready(ctx, op); err != nil {
		return err
	}
	if b := g.Bounds(); to > b.Head {
		return cdp.Errorf(cdp.Invalid, op, "", "%d is beyond head %d", to, b.Head)
	}
	return cdp.Wrap(g.raiseTo(ctx, to, forget), op, "")
}

func (g *Group) raiseTo(ctx context.Context, to cdp.Seq, forget bool) error {
	defer func() { g.patches, g.arena = nil, nil }()
	for g.State().Base < to {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := g.raiseStep(to, forget); err != nil {
			return err
		}
	}
	return nil
}

// settle finishes a move that was interrupted, by a crash or by the end of its
// context: nothing else may move before. The caller holds move.
func (g *Group) settle(ctx context.Context, op string) error {
	if err := g.check(op); err != nil {
		return err
	}
	var err error
	switch s := g.State(); {
	case s.Moving > s.Base:
		err = g.raiseTo(ctx, s.Moving, s.Horizon > s.Base)
	case s.Moving < s.Base:
		err = g.lowerTo(ctx, s.Moving)
	}
	return cdp.Wrap(err, op, "finish an interrupted move of base")
}

// ready is settle for a move, which needs the replica.
func (g *Group) ready(ctx context.Context, op string) error {
	if err := g.settle(ctx, op); err != nil {
		return err
	}
	if st := g.State(); st.Released {
		return cdp.Errorf(cdp.Conflict, op, "", "the run %s has the replica's disks", st.Run)
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
}

// collect reads the writes after base, up to seq to, as far as a step goes.
func (g *Group) collect(base, to cdp.Seq) (s step, err error) {
	s = step{to: base, patches: g.patches[:0], arena: g.arena[:0]}
	defer func() { g.patches, g.arena = s.patches, s.arena }()
	from, err := g.frameOf(base + 1)
	if err != nil {
		return s, err
	}
	err = g.store.Frames(from, g.Stored().No, func(t frame.Table, payload []byte) error {
		for i := range t.Records {
			seq := t.First + cdp.Seq(i)
			if seq <= base {
				continue
			}
			if seq > to || len(s.arena) >= g.cfg.StepBytes || len(s.patches) >= 2*g.cfg.StepBytes/cdp.BlockSize {
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
	// By place, oldest first in each block; a region's zeros stand before the
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

func (g *Group) raiseStep(to cdp.Seq, forget bool) error {
	st := g.State()
	if st.Moving > st.Base { // an interrupted step is done again as it was
		to = st.Moving
	}
	s, err := g.collect(st.Base, to)
	if err != nil {
		return err
	}
	u := g.store.Begin()
	if forget {
		// No view may look below what is forgotten while the replica changes.
		left, err := g.leave("merge", s.to)
		if err != nil {
			u.Discard()
			return err
		}
		defer left()
		st.Horizon = max(st.Horizon, s.to)
	} else if err := g.saveFloors(s); err != nil {
		u.Discard()
		return err
	}
	st.Moving = max(st.Moving, s.to)
	if err := g.setState(u, st); err != nil {
		return err
	}
	if err := g.apply(s); err != nil {
		return err
	}
	st.Base = s.to
	return g.setState(g.store.Begin(), st)
}
