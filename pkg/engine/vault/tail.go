package vault

import (
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/core/history"
)

// tail is a part of the index that is still in memory: entries chained by
// block, newest first. It is not safe for concurrent use.
type tail struct {
	list   []tailEntry
	blocks map[blockKey]int32  // the newest entry of a block, an index into list
	wholes map[regionKey]int32 // the same for whole regions
	upTo   cdp.FrameNo         // the newest frame in it
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
}

// entries calls fn for a block's entries at or below upTo, newest first, until
// it returns false; it returns whether to go on.
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
	sortIndex(out)
	return out
}
