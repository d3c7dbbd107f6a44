package vault

import (
	"cmp"
	"slices"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/core/history"
)

// sortIndex puts entries in the order of Store.AddIndex.
func sortIndex(e []IndexEntry) {
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
