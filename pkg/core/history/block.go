package history

import "tidemark.dev/pkg/cdp"

// Place is where the content of an entry is stored.
type Place struct {
	// Frame and Off are the frame and the offset in its payload of the block's
	// first covered sector; Off is not used if Zero is set.
	Frame cdp.FrameNo
	Off   uint32
	// Zero means the covered sectors read as zeros.
	Zero bool
}

// Entry is one write's effect on one block.
type Entry struct {
	Seq   cdp.Seq
	Mask  cdp.Mask // which sectors; they are one run
	Place Place
}

// Read collects a block's content by the read rule. Its zero value has read
// nothing yet.
type Read struct{ have cdp.Mask }

// Take offers the next older entry and returns the sectors to take from it.
func (r *Read) Take(m cdp.Mask) cdp.Mask {
	take := m &^ r.have
	r.have |= m
	return take
}

// Rest is what no entry covered: it comes from the floor, else the replica.
func (r *Read) Rest() cdp.Mask { return cdp.FullMask &^ r.have }

// Done reports whether older entries cannot matter any more.
func (r *Read) Done() bool { return r.have == cdp.FullMask }

// FloorMove is what happens to a block's floor.
type FloorMove int

const (
	// KeepFloor: nothing changes.
	KeepFloor FloorMove = iota
	// SaveFloor: the replica's content becomes the floor, durably, before the
	// replica is written.
	SaveFloor
	// SetFloor: the content at the new horizon becomes the floor.
	SetFloor
	// DropFloor: the replica has the content at horizon again.
	DropFloor
)

// BeforeApply returns what must happen to the floor before writes after base are
// applied to the replica's block.
func BeforeApply(hasFloor bool) FloorMove {
	if hasFloor {
		return KeepFloor
	}
	return SaveFloor
}

// AtHorizon returns what must happen to the floor of a block that has entries in
// (horizon, to], when horizon moves to to. later is the block's newest entry in
// (to, base], 0 if there is none; base is the replica's seq, and no move of it
// is in progress. Requires to <= base.
func AtHorizon(later, base cdp.Seq) FloorMove {
	if later != 0 && later <= base {
		return SetFloor
	}
	return DropFloor
}

// AfterLower returns whether to keep the floor of a block once base was lowered to
// base. newest is the block's newest entry in (horizon, base], 0 if
// there is none.
func AfterLower(newest, base cdp.Seq) FloorMove {
	if newest != 0 && newest <= base {
		return KeepFloor
	}
	return DropFloor
}
