package vault

import (
	"cmp"
	"slices"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/core/history"
)

// SortIndex puts entries in the order stores keep them: blocks before wholes,
// by disk, by block or region, newest first.
func SortIndex(e []IndexEntry) {
	slices.SortFunc(e, func(a, b IndexEntry) int {
		if a.Whole != b.Whole {
			if b.Whole {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(a.Disk, b.Disk), cmp.Compare(a.Block, b.Block),
			cmp.Compare(a.Region, b.Region), cmp.Compare(b.Seq, a.Seq))
	})
}

// entriesOf calls fn for the index entries of the writes of t in (after, upTo].
func entriesOf(t frame.Table, after, upTo cdp.Seq, fn func(IndexEntry)) {
	first := 0
	if after >= t.First {
		first = int(after - t.First + 1)
	}
	for i := first; i < t.Records; i++ {
		seq := t.First + cdp.Seq(i)
		if seq > upTo {
			return
		}
		r := t.Record(i)
		zero := r.Kind == frame.Zero
		history.Pieces(r.Disk, r.Offset, r.Length, zero, func(p history.Piece) {
			e := IndexEntry{Disk: p.Disk, Whole: p.Whole, Entry: history.Entry{Seq: seq, Mask: p.Mask,
				Place: history.Place{Frame: t.No, Off: r.PayloadOff + p.Off, Zero: zero}}}
			if p.Whole {
				e.Region = p.Region
			} else {
				e.Block = p.Block
			}
			fn(e)
		})
	}
}

// tail is a part of the index that is still in memory: entries chained by
// block, newest first. It is not safe for concurrent use.
type tail struct {
	list   []tailEntry
	blocks map[blockKey]int32  // the newest entry of a block, an index into list
	wholes map[regionKey]int32 // the same for whole regions
	upTo   cdp.FrameNo         // the newest frame in it
	bytes  int64               // payload of its frames
}

type blockKey struct {
	disk cdp.DiskID
	b    cdp.Block
}

type regionKey struct {
	disk cdp.DiskID
	r    cdp.Region
}

type tailEntry struct {
	IndexEntry
	prev int32 // the next older entry of the same block or region, -1 for none
}

func newTail() *tail {
	return &tail{blocks: map[blockKey]int32{}, wholes: map[regionKey]int32{}}
}

func (t *tail) add(e IndexEntry) {
	n := int32(len(t.list))
	prev := int32(-1)
	if e.Whole {
		k := regionKey{e.Disk, e.Region}
		if p, ok := t.wholes[k]; ok {
			prev = p
		}
		t.wholes[k] = n
	} else {
		k := blockKey{e.Disk, e.Block}
		if p, ok := t.blocks[k]; ok {
			prev = p
		}
		t.blocks[k] = n
	}
	t.list = append(t.list, tailEntry{e, prev})
}

func (t *tail) addFrame(f frame.Table) {
	entriesOf(f, 0, ^cdp.Seq(0), t.add)
	t.upTo = f.No
	t.bytes += int64(f.PayloadLen)
}

// entries calls fn for a block's entries at or below upTo, newest first, until
// it returns false; it tells whether to go on.
func (t *tail) entries(disk cdp.DiskID, b cdp.Block, upTo cdp.Seq, fn func(history.Entry) bool) bool {
	at, ok := t.blocks[blockKey{disk, b}]
	return !ok || t.walk(at, upTo, fn)
}

func (t *tail) wholesOf(disk cdp.DiskID, r cdp.Region, upTo cdp.Seq, fn func(history.Entry) bool) bool {
	at, ok := t.wholes[regionKey{disk, r}]
	return !ok || t.walk(at, upTo, fn)
}

func (t *tail) walk(at int32, upTo cdp.Seq, fn func(history.Entry) bool) bool {
	for ; at >= 0; at = t.list[at].prev {
		if e := &t.list[at]; e.Seq <= upTo && !fn(e.Entry) {
			return false
		}
	}
	return true
}

// sorted is the tail's entries in the order of the store.
func (t *tail) sorted() []IndexEntry {
	out := make([]IndexEntry, len(t.list))
	for i := range t.list {
		out[i] = t.list[i].IndexEntry
	}
	SortIndex(out)
	return out
}
