package vault

import (
	"maps"
	"slices"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/block"
)

// statusBytes bounds how much one Status looks at.
const statusBytes = 4 << 30

// Status tells data from holes in n bytes of a disk from off, without reading content.
// A hole surely reads as zeros; data may be zeros, too. The extents may end before n
// bytes, or beyond them. None: all of it counts as data.
func (v *View) Status(disk cdp.DiskID, off, n int64) []block.Extent {
	v.of.drop.RLock()
	defer v.of.drop.RUnlock()
	end := min(off+min(n, statusBytes), v.Size(disk))
	h := holes{v: v, disk: disk, first: regionAt(off), last: regionAt(end - 1)}
	if err := h.look(); err != nil || v.lost.Load() {
		return nil // the read of it tells why
	}
	return h.extents(off, end)
}

// holes is what was found of a range of regions.
//
// A block that has neither an entry nor a floor has not changed since before horizon:
// it reads as the replica's block, which is known to be zeros where every block has a
// checksum or holds zeros, or where the image has a hole. A region that was zeroed as a
// whole, and has no entries of blocks, is zeros from then on.
//
// Checksums and replica are looked at first: a later write has its entry before it
// changes them, and no entry goes while views.drop is held.
type holes struct {
	v           *View
	disk        cdp.DiskID
	first, last cdp.Region

	summed  map[cdp.Region]*[cdp.BlocksPerRegion]bool // blocks with a checksum
	unknown map[cdp.Region]bool                       // the replica may have data without a checksum
	touched map[cdp.Region]touch
}

// touch says what a region has of index and floors.
type touch struct {
	blocks bool // it has entries of blocks
	zeroed bool // it was zeroed as a whole at or below the seq
}

func (h *holes) look() error {
	st := h.v.of.ledger.State() // before the sums: an adopted image may get its last one meanwhile
	if err := h.lookAtSums(); err != nil {
		return err
	}
	h.unknown = map[cdp.Region]bool{}
	if !st.Summed || !h.v.of.sums.on(st) {
		h.lookAtReplica()
	}
	h.touched = map[cdp.Region]touch{}
	h.lookAtTails()
	return h.with(h.lookAtIndex) // after the tails: see blockRead.fromIndex
}

// with calls fn with a Reader of the present generation.
func (h *holes) with(fn func(Reader) error) error {
	rd, err := h.v.takeReader()
	if err != nil {
		return err
	}
	if err := fn(rd); err != nil {
		rd.Close()
		return err
	}
	h.v.putReader(rd)
	return nil
}

func (h *holes) lookAtSums() error {
	h.summed = map[cdp.Region]*[cdp.BlocksPerRegion]bool{}
	return h.with(func(rd Reader) error {
		var x RegionSums
		for r := h.first; r <= h.last; r++ {
			at, ok, err := rd.Sums(h.disk, r, &x)
			if err != nil || !ok || at > h.last {
				return err
			}
			has := x.Has
			h.summed[at], r = &has, at
		}
		return nil
	})
}

func (h *holes) lookAtReplica() {
	for r := h.first; r <= h.last; r++ {
		if !h.v.of.replica.IsZero(h.disk, startOf(r), cdp.RegionSize) {
			h.unknown[r] = true
		}
	}
}

func (h *holes) lookAtTails() {
	x := h.v.of.index
	x.mu.RLock()
	defer x.mu.RUnlock()
	for _, t := range [...]*tail{x.active, x.flushing} {
		if t == nil {
			continue
		}
		for i := range t.list {
			e := &t.list[i]
			r := e.Region
			if !e.Whole {
				r = e.Block.Region()
			}
			if e.Disk != h.disk || r < h.first || r > h.last {
				continue
			}
			k := h.touched[r]
			k.blocks = k.blocks || !e.Whole
			k.zeroed = k.zeroed || e.Whole && e.Seq <= h.v.at
			h.touched[r] = k
		}
	}
}

func (h *holes) lookAtIndex(rd Reader) error {
	for r := h.first; r <= h.last; r++ {
		at, blocks, ok, err := rd.Touched(h.disk, r)
		if err != nil || !ok || at > h.last {
			return err
		}
		r = at
		k := h.touched[r]
		k.blocks = k.blocks || blocks
		if !k.blocks {
			if err := rd.Wholes(h.disk, r, h.v.at, func(cdp.Seq) bool { k.zeroed = true; return false }); err != nil {
				return err
			}
		}
		h.touched[r] = k
	}
	return nil
}

// extents describes the bytes from off to end.
func (h *holes) extents(off, end int64) []block.Extent {
	var out []block.Extent
	add := func(to int64, zero bool) {
		if to = min(to, end); to <= off {
			return
		}
		if k := len(out); k > 0 && out[k-1].Zero == zero {
			out[k-1].Length += to - off
		} else {
			out = append(out, block.Extent{Length: to - off, Hole: zero, Zero: zero})
		}
		off = to
	}
	for _, r := range h.known() {
		add(startOf(r), true)
		k, touched := h.touched[r]
		switch {
		case touched:
			add(startOf(r+1), k.zeroed && !k.blocks)
		case h.unknown[r]:
			add(startOf(r+1), false)
		default:
			for i, has := range h.summed[r] {
				add(startOf(r)+int64(i+1)*cdp.BlockSize, !has)
			}
		}
	}
	add(end, true)
	return out
}

// known is the regions of which anything was found, ascending.
func (h *holes) known() []cdp.Region {
	out := slices.AppendSeq(slices.Collect(maps.Keys(h.touched)), maps.Keys(h.summed))
	out = slices.AppendSeq(out, maps.Keys(h.unknown))
	slices.Sort(out)
	return slices.Compact(out)
}

func regionAt(off int64) cdp.Region { return cdp.Region(off / cdp.RegionSize) }
func startOf(r cdp.Region) int64    { return int64(r) * cdp.RegionSize }
