package pebblestore

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/core/history"
	"tidemark.dev/pkg/engine/vault"
)

// A journal goes on without the tables of its index, floors and checksums: the index is
// made anew from the frames; blocks whose floor is lost are noted, so that reads of points
// that need it fail, and no others; blocks of the replica get new checksums by a scrub.

// rebuild is what the next opening makes anew, because a part of it cannot be read.
type rebuild struct {
	index, floors, sums error           // why; nil: it can be read
	floorsIn, sumsIn    pebble.KeyRange // of the damaged tables
}

func (x rebuild) any() bool { return x.index != nil || x.floors != nil || x.sums != nil }

func (x rebuild) String() string {
	said := ""
	for _, w := range []struct {
		err  error
		what string
	}{
		{x.index, "the index was damaged, and was made anew from the frames"},
		{x.floors, "a table of what blocks held before they were overwritten was damaged: recovery points that need it cannot be read there"},
		{x.sums, "a table of the replica's checksums was damaged: a scrub makes them anew"},
	} {
		if w.err != nil {
			said = cmp.Or(said, fmt.Sprintf("%s: %s", w.what, firstLine(w.err)))
		}
	}
	return said
}

// DropDamaged ends the database if a part of the index, of the floors' places or of the
// checksums cannot be read; the next Load does without.
func (g *Group) DropDamaged() (bool, error) {
	var x rebuild
	for _, part := range []struct {
		why   *error
		in    *pebble.KeyRange
		kinds [][2]byte
		of    [2]byte
	}{
		{&x.index, nil, [][2]byte{{kindRuns, kindIndexed}}, [2]byte{}},
		{&x.floors, &x.floorsIn, [][2]byte{{kindFloor, kindContent}, {kindZero, kindState}}, [2]byte{kindFloor, kindState}},
		{&x.sums, &x.sumsIn, [][2]byte{{kindSum, kindTwin}}, [2]byte{kindSum, kindTwin}},
	} {
		for _, k := range part.kinds {
			err := g.readsAll(k[0], k[1])
			if err != nil && !cdp.Is(err, cdp.Corrupt) {
				return false, err
			}
			if *part.why == nil {
				*part.why = err
			}
		}
		if *part.why != nil && part.in != nil {
			var err error
			if *part.in, err = g.damagedSpan(part.of[0], part.of[1]); err != nil {
				return false, err
			}
		}
	}
	if !x.any() {
		return false, nil
	}
	g.s.mu.Lock()
	defer g.s.mu.Unlock()
	g.s.rebuild = x
	g.s.current().on.end(errors.Join(x.index, x.floors, x.sums))
	return true, nil
}

// damagedSpan is the keys from the first to the last of the tables of rows from one kind to
// another that are damaged; all, if none is.
func (g *Group) damagedSpan(from, end byte) (span pebble.KeyRange, err error) {
	all := pebble.KeyRange{Start: g.key(nil, from), End: g.key(nil, end)}
	levels, err := g.s.current().SSTables()
	if err != nil {
		return all, failed("look for damaged tables", err)
	}
	for _, tables := range levels {
		for _, t := range tables {
			if !within(all, t.Smallest.UserKey, t.Largest.UserKey) {
				continue
			}
			err := validates(g.s.d.cfg.FS, filepath.Join(g.s.path(), t.BackingSSTNum.String()+".sst"))
			if err == nil {
				continue
			}
			if !isDamage(err) {
				return all, &cdp.Error{Op: "look for damaged tables", Kind: cdp.Transient, Subject: string(g.s.id), Cause: err}
			}
			span = join(span, spanOf(t.Smallest.UserKey, t.Largest.UserKey))
		}
	}
	if span.Start == nil {
		return all, nil
	}
	return span, nil
}

// within reports whether a table from one key to another, which holds rows of one kind and
// may end with that where the next begins, holds rows of a span only.
func within(span pebble.KeyRange, from, to []byte) bool {
	return bytes.Compare(from, span.Start) >= 0 && bytes.Compare(from, span.End) < 0 && bytes.Compare(to, span.End) <= 0
}

// spanOf is the keys of a table.
func spanOf(from, to []byte) pebble.KeyRange {
	return pebble.KeyRange{Start: bytes.Clone(from), End: append(bytes.Clone(to), 0)}
}

// join is the span of both spans, and of what is between them.
func join(a, b pebble.KeyRange) pebble.KeyRange {
	if a.Start == nil {
		return b
	}
	if bytes.Compare(b.Start, a.Start) < 0 {
		a.Start = b.Start
	}
	if bytes.Compare(b.End, a.End) > 0 {
		a.End = b.End
	}
	return a
}

// validates is why a table cannot be read, nil if all of it can.
func validates(fs vfs.FS, path string) error {
	t, err := openTable(fs, path)
	if err != nil {
		return err
	}
	err = t.ValidateBlockChecksums()
	return errors.Join(err, t.Close())
}

// openTable opens a table by itself, without its database. Close it.
func openTable(fs vfs.FS, path string) (*sstable.Reader, error) {
	f, err := fs.Open(path)
	if err != nil {
		return nil, err
	}
	readable, err := sstable.NewSimpleReadable(f)
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return sstable.NewReader(context.Background(), readable, sstable.ReaderOptions{})
}

// rebuild does without what cannot be read. It may be interrupted, and done again.
func (g *Group) rebuild(x rebuild) error {
	if x.index != nil {
		if err := g.dropIndex(); err != nil {
			return err
		}
	}
	if x.floors != nil {
		if err := g.replaceFloors(x.floorsIn); err != nil {
			return failed("note lost floors", err)
		}
	}
	if x.sums == nil {
		return nil
	}
	st, _, err := g.state()
	if err != nil {
		return err
	}
	st.Summed = false // a block without a checksum may hold anything now
	b := g.s.current().NewBatch()
	defer b.Close()
	u := &update{g: g, b: b}
	u.SetState(st)
	if err := errors.Join(u.err, b.Commit(pebble.Sync)); err != nil {
		return failed("drop checksums", err)
	}
	return failed("drop checksums", excise(g.s.current(), []pebble.KeyRange{x.sumsIn}))
}

// replaceFloors removes the rows of floors in a span, and notes at once which blocks have
// lost their floor: those that were written between horizon and where the replica is, and
// whose floor was in the span.
func (g *Group) replaceFloors(lost pebble.KeyRange) error {
	written, err := g.writtenBeforeBase()
	if err != nil {
		return err
	}
	var floors []vault.Floor
	for _, at := range slices.SortedFunc(maps.Keys(written), func(a, b regionAt) int {
		return cmp.Or(cmp.Compare(a.disk, b.disk), cmp.Compare(a.region, b.region))
	}) {
		for i := range cdp.Block(cdp.BlocksPerRegion) {
			if b := cdp.Block(at.region)*cdp.BlocksPerRegion + i; written[at].has(int(i)) {
				gone, err := g.lostFloor(lost, at, b)
				if err != nil {
					return err
				}
				if gone {
					floors = append(floors, vault.Floor{Disk: at.disk, Block: b, Damaged: true})
				}
			}
		}
	}
	if len(floors) == 0 {
		return excise(g.s.current(), []pebble.KeyRange{lost})
	}
	p, err := g.s.newTable()
	if err != nil {
		return err
	}
	if err := g.eachFloor(floors, nil, p.w.Set); err != nil {
		p.Abort()
		return err
	}
	defer p.db.done()
	if err = p.w.Close(); err != nil {
		return errors.Join(err, p.db.on.FS.Remove(p.path))
	}
	if _, err = p.db.IngestAndExcise(context.Background(), []string{p.path}, nil, nil, lost); err != nil {
		return err
	}
	return p.db.settle()
}

// lostFloor reports whether a part of the floor of a block that has one was in a span.
func (g *Group) lostFloor(lost pebble.KeyRange, at regionAt, b cdp.Block) (bool, error) {
	inside := func(k []byte) bool { return bytes.Compare(k, lost.Start) >= 0 && bytes.Compare(k, lost.End) < 0 }
	own := g.placeKey(nil, kindFloor, at.disk, uint64(b))
	if inside(own) {
		return true, nil
	}
	has, err := g.get(own, func([]byte) error { return nil })
	if has {
		return inside(g.placeKey(nil, kindContent, at.disk, uint64(b))), err
	}
	return inside(g.placeKey(nil, kindZero, at.disk, uint64(at.region))), err
}

type regionAt struct {
	disk   cdp.DiskID
	region cdp.Region
}

// blocksOf are blocks of a region.
type blocksOf [cdp.BlocksPerRegion / 64]uint64

func (s *blocksOf) add(i int)      { s[i/64] |= 1 << (i % 64) }
func (s *blocksOf) has(i int) bool { return s[i/64]&(1<<(i%64)) != 0 }

// writtenBeforeBase are the blocks that were written after horizon and that the replica may
// have.
func (g *Group) writtenBeforeBase() (map[regionAt]*blocksOf, error) {
	l, err := g.read(0)
	if err != nil {
		return nil, err
	}
	after, upTo := l.State.Horizon, max(l.State.Base, l.State.Moving)
	out := map[regionAt]*blocksOf{}
	of := func(disk cdp.DiskID, x cdp.Region) *blocksOf {
		at := regionAt{disk, x}
		if out[at] == nil {
			out[at] = &blocksOf{}
		}
		return out[at]
	}
	whole := func(disk cdp.DiskID, x cdp.Region) {
		for i := range cdp.BlocksPerRegion {
			of(disk, x).add(i)
		}
	}
	r := &reader{g: g}
	defer r.Close()
	if r.index, err = g.iter(g.key(nil, kindIndex), g.key(nil, kindWhole)); err != nil {
		return nil, err
	}
	if r.whole, err = g.iter(g.key(nil, kindWhole), g.key(nil, kindIndexed)); err != nil {
		return nil, err
	}
	if err := r.Between(after, upTo, func(e vault.IndexEntry) {
		if e.Whole {
			whole(e.Disk, e.Region)
		} else {
			of(e.Disk, e.Block.Region()).add(int(e.Block % cdp.BlocksPerRegion))
		}
	}); err != nil || l.Newest == nil {
		return out, err
	}
	return out, g.Tables(l.Indexed+1, l.Newest.No, func(t frame.Table) error {
		for i := range t.Records {
			if s := t.First + cdp.Seq(i); s <= after || s > upTo {
				continue
			}
			w := t.Record(i)
			history.Pieces(w.Disk, w.Offset, w.Length, w.Kind == frame.Zero, func(p history.Piece) {
				if p.Whole {
					whole(p.Disk, p.Region)
				} else {
					of(p.Disk, p.Block.Region()).add(int(p.Block % cdp.BlocksPerRegion))
				}
			})
		}
		return nil
	})
}
