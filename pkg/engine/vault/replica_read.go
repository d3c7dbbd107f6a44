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
			for k := first; k < i; k++ {
				r.note(k, r.p[k*cdp.BlockSize:(k+1)*cdp.BlockSize])
			}
			continue
		}
		if err := of.replica.ReadAt(r.disk, r.scratch[:], (r.b + cdp.Block(i)).Offset()); err != nil {
			return false, rd, err
		}
		r.note(i, r.scratch[:])
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
			r.used[i] = false
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
			r.used[i] = false
		}
	}
	return nil
}

// note keeps the checksum of a block that was read from the replica.
func (r *blockRead) note(i int, block []byte) { r.sum[i], r.used[i] = sumOf(block), true }

// check compares what is used of the replica with its checksums. False: a block is
// damaged, but the journal may have its content.
func (r *blockRead) check(rd cachedReader) (bool, error) {
	s := r.v.of.sums
	if !s.on(r.v.of.ledger.State()) {
		return true, nil
	}
	var x *RegionSums
	var of cdp.Region
	for i := range r.n {
		if !r.used[i] {
			continue
		}
		b := r.b + cdp.Block(i)
		if x == nil || b.Region() != of {
			var err error
			if x, err = s.region(rd, rd.gen, regionKey{r.disk, b.Region()}); err != nil {
				return false, err
			}
			of = b.Region()
		}
		if s.fitsSum(x, b, r.sum[i]) {
			continue
		}
		bad, err := s.damaged(r.disk, b)
		switch {
		case err != nil:
			return false, err
		case bad && r.short:
			return false, nil
		case bad:
			return false, damagedBlock(r.disk, b)
		}
	}
	return true, nil
}
