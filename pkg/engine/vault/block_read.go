package vault

import (
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/history"
)

// blockRead reads at most BlocksPerRegion whole blocks of a disk at a view's seq.
// Its memory is reused.
//
// The read rule says: the newest entries at or below the seq, else the floor,
// else the replica. Two short cuts avoid most of the work while base is not being
// moved: the replica holds every write up to base, so an entry at or below base,
// with no later one up to base, is what the replica's block holds; and a floor
// matters only to a block with an entry between the seq and base. After the
// replica was read it checks whether a move began meanwhile.
type blockRead struct {
	v    *View
	disk cdp.DiskID
	p    []byte
	b    cdp.Block // the first
	n    int       // how many

	short   bool    // the short cuts are taken
	base    cdp.Seq // as the read began, when short
	lowers  uint64
	reads   [cdp.BlocksPerRegion]history.Read
	stopped [cdp.BlocksPerRegion]bool // older entries do not matter
	below   [cdp.BlocksPerRegion]bool // an entry between the seq and base: a floor matters
	rest    [cdp.BlocksPerRegion]cdp.Mask
	has     [cdp.BlocksPerRegion]bool
	wholes  [2]cdp.Seq // newest zeros of the whole region at or below the seq, for the two regions that it can touch
	over    [2]bool    // zeros of the whole region between the seq and base
	inTail  []tailHit
	from    []source
	sum     [cdp.BlocksPerRegion]uint32 // of the blocks that were read from the replica
	used    [cdp.BlocksPerRegion]bool   // and are in p
	scratch [cdp.BlockSize]byte
}

type tailHit struct {
	i int
	e history.Entry
}

// source is a run of sectors whose content is in a frame.
type source struct {
	at    int // offset in p
	n     int
	place history.Place
}

func (r *blockRead) read(v *View, disk cdp.DiskID, p []byte, b cdp.Block) error {
	r.v, r.disk, r.p, r.b, r.n = v, disk, p, b, len(p)/cdp.BlockSize
	r.lowers = v.of.ledger.lowers.Load() // before the state: see mover.lowerTo
	st := v.of.ledger.State()
	r.short, r.base = st.Moving == st.Base && st.Horizon <= st.Base, st.Base
	ok, err := r.try()
	if err == nil && !ok {
		r.short = false
		_, err = r.try()
	}
	r.v, r.p = nil, nil
	return err
}

// try reads; false when the short cuts turned out not to hold.
func (r *blockRead) try() (bool, error) {
	clear(r.reads[:r.n])
	clear(r.stopped[:r.n])
	clear(r.wholes[:])
	clear(r.over[:])
	r.inTail, r.from = r.inTail[:0], r.from[:0]
	for i := range r.n {
		r.below[i] = !r.short
	}
	clear(r.used[:r.n])
	rd, err := r.fromIndex()
	ok := false
	if err == nil {
		ok, rd, err = r.fromReplica(rd)
	}
	if err == nil && ok {
		ok, err = r.check(rd)
	}
	if err != nil {
		if rd.Reader != nil {
			rd.Close()
		}
		return false, err
	}
	r.v.putReader(rd)
	if !ok {
		return false, nil
	}
	return true, r.fetch()
}

// upTo is the newest entry that matters.
func (r *blockRead) upTo() cdp.Seq {
	if r.short {
		return max(r.v.at, r.base)
	}
	return r.v.at
}

func (r *blockRead) slot(b cdp.Block) int { return int(b.Region() - r.b.Region()) }

// take offers a block's next older entry; false when older ones do not matter.
func (r *blockRead) take(i int, e history.Entry) bool {
	if r.stopped[i] {
		return false
	}
	x := r.slot(r.b + cdp.Block(i))
	switch {
	case e.Seq > r.v.at:
		r.below[i] = true
		return true
	case e.Seq < r.wholes[x]: // the region was zeroed later
	case r.short && e.Seq <= r.base && !r.below[i]: // the replica has it
	default:
		if m := r.reads[i].Take(e.Mask); m != 0 {
			r.from = appendSources(r.from, i*cdp.BlockSize, m, e)
		}
		if !r.reads[i].Done() {
			return true
		}
	}
	r.stopped[i] = true
	return false
}

// whole notes a zeroing of a whole region; newest first.
func (r *blockRead) whole(x int, s cdp.Seq) bool {
	if s > r.v.at {
		r.over[x] = true
		return true
	}
	r.wholes[x] = max(r.wholes[x], s)
	return false
}

// fromIndex looks up everything that the index has, and notes per block what is
// left.
func (r *blockRead) fromIndex() (cachedReader, error) {
	of, upTo := r.v.of, r.upTo()
	last := (r.b + cdp.Block(r.n-1)).Region()
	// The tails first, then a reader of the generation after: what is flushed in
	// between is seen twice, which does no harm, and not missed.
	of.index.mu.RLock()
	for _, t := range [...]*tail{of.index.active, of.index.flushing} {
		if t == nil {
			continue
		}
		for x := r.b.Region(); x <= last && len(t.wholes) > 0; x++ {
			t.wholesOf(r.disk, x, upTo, func(e history.Entry) bool { return r.whole(int(x-r.b.Region()), e.Seq) })
		}
		for i := 0; i < r.n && len(t.blocks) > 0; i++ {
			t.entries(r.disk, r.b+cdp.Block(i), upTo, func(e history.Entry) bool {
				r.inTail = append(r.inTail, tailHit{i, e})
				return e.Seq > r.v.at || e.Mask != cdp.FullMask
			})
		}
	}
	of.index.mu.RUnlock()
	rd, err := r.v.takeReader()
	if err != nil {
		return rd, err
	}
	if any, _ := rd.Any(); any {
		for x := r.b.Region(); x <= last; x++ {
			if err := rd.Wholes(r.disk, x, upTo, func(s cdp.Seq) bool { return r.whole(int(x-r.b.Region()), s) }); err != nil {
				return rd, err
			}
		}
	}
	for i := range r.n {
		r.below[i] = r.below[i] || r.over[r.slot(r.b+cdp.Block(i))]
	}
	for _, h := range r.inTail { // active before flushing, each newest first
		r.take(h.i, h.e)
	}
	for i := range r.n {
		if r.stopped[i] {
			continue
		}
		if err := rd.Entries(r.disk, r.b+cdp.Block(i), upTo, func(e history.Entry) bool { return r.take(i, e) }); err != nil {
			return rd, err
		}
	}
	for i := range r.n {
		r.rest[i] = r.reads[i].Rest()
		w := r.wholes[r.slot(r.b+cdp.Block(i))]
		if r.rest[i] == 0 || w == 0 || r.short && w <= r.base && !r.below[i] {
			continue
		}
		clearSectors(r.p[i*cdp.BlockSize:(i+1)*cdp.BlockSize], r.rest[i])
		r.rest[i] = 0
	}
	return rd, nil
}
