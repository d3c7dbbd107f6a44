package vault

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
)

// Bad is what was found damaged of the stored history, so that it can be found again
// after a restart without reading everything.
type Bad struct {
	Frames []cdp.FrameNo `json:"frames,omitempty"` // ascending
	Floors []BadFloor    `json:"floors,omitempty"` // by disk and block
}

// BadFloor is a block whose content at horizon, then write Seq, is lost.
type BadFloor struct {
	Disk  cdp.DiskID `json:"disk"`
	Block cdp.Block  `json:"block"`
	Seq   cdp.Seq    `json:"seq"`
}

// Bad is what reads and scrubs have found since the journal was opened.
func (g *Group) Bad() Bad { return g.chain.bad.known() }

func (b *badFrames) known() (out Bad) {
	frames := map[cdp.FrameNo]error{}
	b.headers.mu.Lock()
	maps.Copy(frames, b.headers.why)
	b.headers.mu.Unlock()
	b.payloads.mu.Lock()
	defer b.payloads.mu.Unlock()
	maps.Copy(frames, b.payloads.why)
	if len(frames) > 0 {
		out.Frames = slices.Sorted(maps.Keys(frames))
	}
	for k, x := range b.floors {
		out.Floors = append(out.Floors, BadFloor{k.disk, k.b, x.Seq})
	}
	slices.SortFunc(out.Floors, func(a, b BadFloor) int {
		return cmp.Or(cmp.Compare(a.Disk, b.Disk), cmp.Compare(a.Block, b.Block))
	})
	return out
}

// FindAgain reads what was found damaged before a restart, and notes what still is.
func (g *Group) FindAgain(ctx context.Context, was Bad) error {
	const op = "look for known damage"
	oldest, newest := g.ledger.span()
	for _, no := range was.Frames {
		if err := ctx.Err(); err != nil {
			return err
		}
		if no < oldest || no > newest {
			continue
		}
		err := g.store.Frames(no, no, func(frame.Table, []byte) error { return nil })
		if cdp.Is(err, cdp.Corrupt) {
			g.chain.bad.payloads.note(no, err)
		} else if err != nil {
			return cdp.Wrap(err, op, "")
		}
	}
	if len(was.Floors) == 0 {
		return nil
	}
	r, err := g.index.open()
	if err != nil {
		return cdp.Wrap(err, op, "")
	}
	defer r.Close()
	var block [cdp.BlockSize]byte
	for _, x := range was.Floors {
		if err := r.Floor(x.Disk, x.Block, block[:]); cdp.Is(err, cdp.Corrupt) {
			g.chain.bad.setFloor(blockKey{x.Disk, x.Block}, x.Seq, true)
		} else if err != nil {
			return cdp.Wrap(err, op, "")
		}
	}
	return nil
}
