package vault

import (
	"bytes"
	"cmp"
	"context"
	"slices"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/frame"
	"tidemark.dev/pkg/history"
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
	if err := g.settle(ctx, op); err != nil {
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
			if seq > to || len(s.arena) >= g.cfg.StepBytes || len(s.patches) >= g.cfg.StepBytes/256 {
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

// floorSet collects floors until they are saved.
type floorSet struct {
	g      *Group
	floors []Floor
	zeros  []ZeroFloor
	bytes  int
}

func (f *floorSet) add(disk cdp.DiskID, b cdp.Block, p []byte) {
	fl := Floor{Disk: disk, Block: b}
	if !isZero(p) {
		fl.Content = bytes.Clone(p)
		f.bytes += len(p)
	}
	f.floors = append(f.floors, fl)
}

func (f *floorSet) save() error {
	if len(f.floors)+len(f.zeros) == 0 {
		return nil
	}
	err := f.g.store.AddFloors(f.floors, f.zeros)
	f.floors, f.zeros, f.bytes = f.floors[:0], f.zeros[:0], 0
	if err != nil {
		return f.g.breakOn(err)
	}
	f.g.gen.Add(1)
	return nil
}

// saveFloors saves the floors that the step needs. They are durable with the
// next commit, which comes before the replica is written.
func (g *Group) saveFloors(s step) error {
	r, err := g.store.Reader()
	if err != nil {
		return err
	}
	defer r.Close()
	region := g.regions.Get().(*[cdp.RegionSize]byte)
	defer g.regions.Put(region)
	set := &floorSet{g: g}
	err = s.regions(func(ps []patch) error {
		var has [cdp.BlocksPerRegion]bool
		zero, err := g.floorsOf(r, ps[0].Disk, ps[0].Region, &has)
		if err != nil || zero {
			return err // a zero floor stands for every block that has none
		}
		if ps[0].Whole {
			err = g.saveRegion(set, ps[0].Disk, ps[0].Region, &has, region[:])
		} else {
			err = g.saveBlocks(set, ps, &has, region[:])
		}
		if err == nil && set.bytes > g.cfg.StepBytes {
			err = set.save()
		}
		return err
	})
	if err != nil {
		return err
	}
	return set.save()
}

// saveRegion saves floors for a region that will be zeroed: blocks that hold
// something get their own, all others are told by the region's zero floor.
func (g *Group) saveRegion(set *floorSet, disk cdp.DiskID, region cdp.Region, has *[cdp.BlocksPerRegion]bool, buf []byte) error {
	off := int64(region) * cdp.RegionSize
	if !g.replica.IsZero(disk, off, cdp.RegionSize) {
		if err := g.replica.ReadAt(disk, buf, off); err != nil {
			return err
		}
		for i := range has {
			if p := buf[i*cdp.BlockSize : (i+1)*cdp.BlockSize]; !has[i] && !isZero(p) {
				set.add(disk, cdp.Block(region)*cdp.BlocksPerRegion+cdp.Block(i), p)
			}
		}
	}
	set.zeros = append(set.zeros, ZeroFloor{disk, region})
	return nil
}

// saveBlocks saves floors for the blocks of one region, reading neighbours at
// once.
func (g *Group) saveBlocks(set *floorSet, ps []patch, has *[cdp.BlocksPerRegion]bool, buf []byte) error {
	disk := ps[0].Disk
	for i := 0; i < len(ps); {
		if history.BeforeApply(has[ps[i].Block%cdp.BlocksPerRegion]) != history.SaveFloor {
			i++
			continue
		}
		first, last := ps[i].Block, ps[i].Block
		for i < len(ps) && ps[i].Block <= last+1 && history.BeforeApply(has[ps[i].Block%cdp.BlocksPerRegion]) == history.SaveFloor {
			last = ps[i].Block
			i++
		}
		p := buf[:int(last-first+1)*cdp.BlockSize]
		if g.replica.IsZero(disk, first.Offset(), int64(len(p))) {
			clear(p)
		} else if err := g.replica.ReadAt(disk, p, first.Offset()); err != nil {
			return err
		}
		for b := first; b <= last; b++ {
			set.add(disk, b, p[(b - first).Offset():][:cdp.BlockSize])
			has[b%cdp.BlocksPerRegion] = true
		}
	}
	return nil
}
