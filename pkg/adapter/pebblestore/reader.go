package pebblestore

import (
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/history"
	"tidemark.dev/pkg/engine/vault"
)

// reader looks up index and floors in one snapshot of the database.
type reader struct {
	g              *Group
	index, whole   iterator
	floor, content iterator
	sums           iterator // opened when it is first used
	wholes, floors bool
	k              []byte
}

var _ vault.Reader = (*reader)(nil)

// Reader opens a reader of the index and floors as they are now.
func (g *Group) Reader() (vault.Reader, error) {
	const op = "open reader"
	r := &reader{g: g}
	var err error
	if r.index, err = g.iter(g.key(nil, kindIndex), g.key(nil, kindWhole)); err != nil {
		return nil, failed(op, err)
	}
	if r.whole, err = g.iter(g.key(nil, kindWhole), g.key(nil, kindIndexed)); err != nil {
		r.Close()
		return nil, failed(op, err)
	}
	if r.floor, err = g.iter(g.key(nil, kindFloor), g.key(nil, kindZero+1)); err != nil {
		r.Close()
		return nil, failed(op, err)
	}
	if r.content, err = g.iter(g.key(nil, kindContent), g.key(nil, kindZero)); err != nil {
		r.Close()
		return nil, failed(op, err)
	}
	// What is damaged fails the look-ups that need it, and no others.
	r.wholes = r.whole.First() || r.whole.Error() != nil
	r.floors = r.floor.First() || r.floor.Error() != nil
	return r, nil
}

func (r *reader) errors() error {
	for _, it := range []iterator{r.index, r.whole, r.floor, r.content} {
		if err := it.Error(); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) Any() (wholes, floors bool) { return r.wholes, r.floors }

func (r *reader) Close() error {
	var first error
	for _, it := range []iterator{r.index, r.whole, r.floor, r.content, r.sums} {
		if it.Iterator != nil {
			if err := it.Close(); first == nil {
				first = err
			}
		}
	}
	return failed("close reader", first)
}

func (r *reader) Entries(disk cdp.DiskID, b cdp.Block, upTo cdp.Seq, fn func(history.Entry) bool) error {
	r.k = r.g.seqKey(r.k, kindIndex, disk, uint64(b), upTo)
	for ok := r.index.SeekGE(r.k); ok; ok = r.index.Next() {
		k := r.index.Key()
		if string(k[:placeKeyLen]) != string(r.k[:placeKeyLen]) {
			break
		}
		if !fn(entryOf(k, r.index.Value())) {
			break
		}
	}
	return failed("look up index", r.index.Error())
}

// entryOf is an entry of a block, by its row.
func entryOf(k, v []byte) history.Entry {
	return history.Entry{Seq: seqOfKey(k), Mask: cdp.Mask(v[12]),
		Place: history.Place{Frame: cdp.FrameNo(be.Uint64(v)), Off: be.Uint32(v[8:]), Zero: v[13] != 0}}
}

func (r *reader) Between(after, upTo cdp.Seq, fn func(vault.IndexEntry)) error {
	const op = "read index"
	for ok := r.index.First(); ok; ok = r.index.Next() {
		k := r.index.Key()
		if s := seqOfKey(k); s > after && s <= upTo {
			fn(vault.IndexEntry{Disk: diskOfKey(k), Block: cdp.Block(placeOfKey(k)), Entry: entryOf(k, r.index.Value())})
		}
	}
	for ok := r.whole.First(); ok; ok = r.whole.Next() {
		k := r.whole.Key()
		if s := seqOfKey(k); s > after && s <= upTo {
			fn(vault.IndexEntry{Disk: diskOfKey(k), Whole: true, Region: cdp.Region(placeOfKey(k)), Entry: history.Entry{Seq: s}})
		}
	}
	err := r.index.Error()
	if err == nil {
		err = r.whole.Error()
	}
	return failed(op, err)
}

func (r *reader) Wholes(disk cdp.DiskID, x cdp.Region, upTo cdp.Seq, fn func(cdp.Seq) bool) error {
	if !r.wholes {
		return nil
	}
	r.k = r.g.seqKey(r.k, kindWhole, disk, uint64(x), upTo)
	for ok := r.whole.SeekGE(r.k); ok; ok = r.whole.Next() {
		k := r.whole.Key()
		if string(k[:placeKeyLen]) != string(r.k[:placeKeyLen]) || !fn(seqOfKey(k)) {
			break
		}
	}
	return failed("look up index", r.whole.Error())
}

func (r *reader) Floor(disk cdp.DiskID, b cdp.Block, p []byte) error {
	r.k = r.g.placeKey(r.k, kindContent, disk, uint64(b))
	if r.content.SeekGE(r.k) && string(r.content.Key()) == string(r.k) {
		if copy(p, r.content.Value()) < cdp.BlockSize {
			return cdp.Errorf(cdp.Corrupt, "look up floor", "", "what the block at byte %d of disk %d held is lost: it was damaged", b.Offset(), disk)
		}
		return nil
	}
	clear(p)
	return failed("look up floor", r.content.Error())
}

func (r *reader) Floors(disk cdp.DiskID, b cdp.Block, has []bool) error {
	clear(has)
	if !r.floors {
		return nil
	}
	r.k = r.g.placeKey(r.k, kindFloor, disk, uint64(b))
	prefix := placeKeyLen - 6
	for ok := r.floor.SeekGE(r.k); ok; ok = r.floor.Next() {
		k := r.floor.Key()
		if len(k) != placeKeyLen || string(k[:prefix]) != string(r.k[:prefix]) {
			break
		}
		n := placeOfKey(k) - uint64(b)
		if n >= uint64(len(has)) {
			break
		}
		has[n] = true
	}
	return failed("look up floors", r.floor.Error())
}

func (r *reader) ZeroFloor(disk cdp.DiskID, x cdp.Region) (bool, error) {
	if !r.floors {
		return false, nil
	}
	r.k = r.g.placeKey(r.k, kindZero, disk, uint64(x))
	zero := r.floor.SeekGE(r.k) && string(r.floor.Key()) == string(r.k)
	return zero, failed("look up floors", r.floor.Error())
}

func (r *reader) Touched(disk cdp.DiskID, from cdp.Region) (at cdp.Region, blocks, ok bool, err error) {
	for _, in := range []struct {
		it     iterator
		kind   byte
		unit   uint64 // places of a region
		blocks bool
	}{
		{r.index, kindIndex, cdp.BlocksPerRegion, true},
		{r.floor, kindFloor, cdp.BlocksPerRegion, false},
		{r.whole, kindWhole, 1, false},
	} {
		r.k = r.g.placeKey(r.k, in.kind, disk, uint64(from)*in.unit)
		const prefix = placeKeyLen - 6
		if !in.it.SeekGE(r.k) || string(in.it.Key()[:prefix]) != string(r.k[:prefix]) {
			continue
		}
		if x := cdp.Region(placeOfKey(in.it.Key()) / in.unit); !ok || x < at {
			at, blocks, ok = x, in.blocks, true
		}
	}
	return at, blocks, ok, failed("look up index", r.errors())
}

func (r *reader) Sums(disk cdp.DiskID, from cdp.Region, x *vault.RegionSums) (at cdp.Region, ok bool, err error) {
	const op = "look up checksums"
	if r.sums.Iterator == nil {
		if r.sums, err = r.g.iter(r.g.key(nil, kindSum), r.g.key(nil, kindSum+1)); err != nil {
			return 0, false, failed(op, err)
		}
	}
	clear(x.Has[:])
	r.k = r.g.placeKey(r.k, kindSum, disk, uint64(from)*cdp.BlocksPerRegion)
	const prefix = placeKeyLen - 6
	for more := r.sums.SeekGE(r.k); more; more = r.sums.Next() {
		k := r.sums.Key()
		if string(k[:prefix]) != string(r.k[:prefix]) {
			break
		}
		b := cdp.Block(placeOfKey(k))
		if !ok {
			at, ok = b.Region(), true
		}
		if b.Region() != at {
			break
		}
		x.Has[b%cdp.BlocksPerRegion], x.Sum[b%cdp.BlocksPerRegion] = true, be.Uint32(r.sums.Value())
	}
	return at, ok, failed(op, r.sums.Error())
}
