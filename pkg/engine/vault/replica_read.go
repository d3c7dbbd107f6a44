package vault

import "tidemark.dev/pkg/cdp"

// fromReplica fills what the index did not have from the replica, or from floors
// where they matter. The replica is read first: see the package doc on who
// may run at once. False when a move of base made the short cuts wrong.
func (r *blockRead) fromReplica(rd cachedReader) (bool, cachedReader, error) {
	of := r.v.of
	var floors, any bool
	for i := 0; i < r.n; {
		rest := r.rest[i]
		if rest == 0 {
			i++
			continue
		}
		any = true
		first := i
		for i < r.n && r.rest[i] == cdp.FullMask {
			floors = floors || r.below[i]
			i++
		}
		if i > first {
			p, off := r.p[first*cdp.BlockSize:i*cdp.BlockSize], (r.b + cdp.Block(first)).Offset()
			if r.v.sparse && of.replica.IsZero(r.disk, off, int64(len(p))) {
				clear(p)
			} else if err := of.replica.ReadAt(r.disk, p, off); err != nil {
				return false, rd, err
			}
			continue
		}
		if err := of.replica.ReadAt(r.disk, r.scratch[:], (r.b + cdp.Block(i)).Offset()); err != nil {
			return false, rd, err
		}
		copySectors(r.p[i*cdp.BlockSize:], r.scratch[:], rest)
		floors = floors || r.below[i]
		i++
	}
	if !any {
		return true, rd, nil
	}
	if r.short && !r.shortCutsHold() {
		return false, rd, nil
	}
	if !floors {
		return true, rd, nil
	}
	if rd.gen != of.ledger.gen.Load() {
		rd.Close()
		var err error
		if rd, err = r.v.takeReader(); err != nil {
			return false, rd, err
		}
	}
	if _, any := rd.Any(); !any {
		return true, rd, nil
	}
	return true, rd, r.fromFloors(rd)
}

// shortCutsHold reports whether the replica's blocks that were read by the short cuts
// cannot have changed: base has not moved; or it only went up, and not past the
// seq, which changes no block without an entry up there.
func (r *blockRead) shortCutsHold() bool {
	st := r.v.of.ledger.State()
	if r.v.of.ledger.lowers.Load() != r.lowers {
		return false
	}
	if st.Base < r.base || st.Moving < r.base {
		return false
	}
	return st.Moving == r.base || st.Moving <= r.v.at
}

// fromFloors overwrites what the replica had with the floors that matter.
func (r *blockRead) fromFloors(rd cachedReader) error {
	if err := rd.Floors(r.disk, r.b, r.has[:r.n]); err != nil {
		return err
	}
	region, zero := ^cdp.Region(0), false
	for i := range r.n {
		if r.rest[i] == 0 || !r.below[i] {
			continue
		}
		b := r.b + cdp.Block(i)
		dst := r.p[i*cdp.BlockSize : (i+1)*cdp.BlockSize]
		if r.has[i] {
			if err := rd.Floor(r.disk, b, r.scratch[:]); err != nil {
				return err
			}
			copySectors(dst, r.scratch[:], r.rest[i])
			continue
		}
		if b.Region() != region {
			region = b.Region()
			var err error
			if zero, err = rd.ZeroFloor(r.disk, region); err != nil {
				return err
			}
		}
		if zero {
			clearSectors(dst, r.rest[i])
		}
	}
	return nil
}
