package vault

import (
	"cmp"
	"context"
	"slices"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/core/history"
)

// Unreadable is history that needs a part of a stored frame which cannot be read.
type Unreadable struct {
	// From and Until are the writes at which the disks held it: from From on, and until
	// the write before Until.
	From, Until cdp.Seq
}

// Has reports whether the disks as they were at write s cannot be read in full.
func (u Unreadable) Has(s cdp.Seq) bool { return u.From <= s && s < u.Until }

// scrubFrames reads the stored frames, and notes those that cannot be read.
func (g *Group) scrubFrames(ctx context.Context, pace func(n int) error) (bytes int64, err error) {
	for no, newest := g.ledger.span(); no != 0 && no <= newest; {
		if err := ctx.Err(); err != nil {
			return bytes, err
		}
		n := 0
		err := g.store.Frames(no, newest, func(t frame.Table, payload []byte) error {
			no = t.No + 1
			if n += frame.HeaderSize + len(payload); n >= cdp.RegionSize {
				return errStop
			}
			return nil
		})
		switch {
		case err == nil:
			no = newest + 1
		case cdp.Is(err, cdp.Corrupt):
			g.chain.bad.payloads.note(no, err)
			no++
		case err != errStop:
			return bytes, err
		}
		bytes += int64(n)
		if err := pace(n); err != nil {
			return bytes, err
		}
	}
	return bytes, nil
}

// Unreadable is what cannot be read of the journal because frames are damaged, as far
// as reads and scrubs have found it since the journal was opened.
func (g *Group) Unreadable() ([]Unreadable, error) {
	const op = "look what damaged frames cost"
	if err := g.probe(); err != nil {
		return nil, cdp.Wrap(err, op, "")
	}
	bad := g.chain.bad.lost()
	if len(bad) == 0 {
		return nil, nil
	}
	r, err := g.index.open()
	if err != nil {
		return nil, cdp.Wrap(err, op, "")
	}
	defer r.Close()
	base := g.ledger.State().Base
	var out []Unreadable
	for _, x := range bad {
		until, err := r.needed(x, base)
		if err != nil {
			return nil, cdp.Wrap(err, op, "")
		}
		if until > x.Seq {
			out = append(out, Unreadable{x.Seq, until})
		}
	}
	return out, nil
}

// needed is the first write from which on entry x is not read any more: its sectors were
// written again, or the replica holds them.
func (r indexReader) needed(x IndexEntry, base cdp.Seq) (until cdp.Seq, err error) {
	var later []history.Entry
	see := func(e history.Entry) bool {
		if e.Seq > x.Seq {
			later = append(later, e)
		}
		return e.Seq > x.Seq
	}
	zeros := func(s cdp.Seq) bool { return see(history.Entry{Seq: s, Mask: cdp.FullMask}) }
	end := ^cdp.Seq(0)
	r.index.mu.RLock()
	for _, t := range r.tails {
		if t != nil {
			t.entries(x.Disk, x.Block, end, see)
			t.wholesOf(x.Disk, x.Block.Region(), end, func(e history.Entry) bool { return zeros(e.Seq) })
		}
	}
	r.index.mu.RUnlock()
	if err := r.Entries(x.Disk, x.Block, end, see); err != nil {
		return 0, err
	}
	err = r.Wholes(x.Disk, x.Block.Region(), end, zeros)
	slices.SortFunc(later, func(a, b history.Entry) int { return cmp.Compare(a.Seq, b.Seq) })
	until = end
	if x.Seq <= base {
		until = x.Seq // of the replica's block it is the newest write
	}
	left := x.Mask
	for _, e := range later {
		if e.Seq <= base && x.Seq <= base {
			until = e.Seq
		}
		if left &^= e.Mask; left == 0 {
			return min(max(until, x.Seq), e.Seq), err
		}
	}
	return until, err
}

// probe finds out what of the frames that were found damaged cannot be read.
func (g *Group) probe() error {
	bad := g.chain.bad
	suspects := bad.suspects()
	if len(suspects) == 0 {
		return nil
	}
	held := map[cdp.FrameNo][]IndexEntry{}
	if err := g.index.between(0, ^cdp.Seq(0), func(e IndexEntry) {
		if _, ok := suspects[e.Place.Frame]; ok && !e.Whole && !e.Place.Zero {
			held[e.Place.Frame] = append(held[e.Place.Frame], e)
		}
	}); err != nil {
		return err
	}
	var block [cdp.BlockSize]byte
	for no := range suspects {
		var lost []IndexEntry
		for _, e := range held[no] {
			err := g.store.Payload(no, e.Place.Off, block[:sectors(e.Mask)*cdp.SectorSize])
			if cdp.Is(err, cdp.Corrupt) {
				lost = append(lost, e)
			} else if err != nil {
				return err
			}
		}
		bad.probed(no, lost)
	}
	return nil
}
