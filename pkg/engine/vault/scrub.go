package vault

import (
	"context"

	"tidemark.dev/pkg/cdp"
)

// Scrubbed is what a scrub found.
type Scrubbed struct {
	Bytes   int64 // that were read
	Damaged int   // blocks
}

// Scrub reads the stored frames, and what is stored of the replica, whose blocks it
// compares with their checksums; blocks of an adopted replica get theirs. Unreadable and Damage report what it finds. It calls
// pace now and then, with the bytes read since. It does not wait for what is written
// meanwhile.
func (g *Group) Scrub(ctx context.Context, pace func(n int) error) (Scrubbed, error) {
	const op = "scrub journal"
	var out Scrubbed
	n, err := g.scrubFrames(ctx, pace)
	if out.Bytes = n; err != nil {
		return out, cdp.Wrap(err, op, "")
	}
	if err := g.mover.sumUp(ctx, g.Disks(), pace); err != nil && !cdp.Is(err, cdp.Conflict) {
		return out, cdp.Wrap(err, op, "")
	}
	buf := make([]byte, cdp.RegionSize)
	for _, d := range g.Disks() {
		for x := cdp.Region(0); ; x++ {
			if err := ctx.Err(); err != nil {
				return out, err
			}
			at, n, damaged, err := g.sums.scrubNext(d.ID, x, buf)
			if err != nil {
				return out, cdp.Wrap(err, op, d.Name)
			}
			if n == 0 {
				break
			}
			x = at
			out.Bytes += int64(n)
			out.Damaged += damaged
			if err := pace(n); err != nil {
				return out, err
			}
		}
	}
	return out, nil
}

// scrubNext checks the first region from x on that has checksums; n is 0 when
// there is none.
func (s *sums) scrubNext(disk cdp.DiskID, x cdp.Region, buf []byte) (at cdp.Region, n, damaged int, err error) {
	if !s.on(s.ledger.State()) {
		return 0, 0, 0, nil
	}
	var want RegionSums
	ok := false
	err = s.fresh(func(r Reader, _ uint64) error {
		at, ok, err = r.Sums(disk, x, &want)
		return err
	})
	if err != nil || !ok {
		return 0, 0, 0, err
	}
	first := cdp.Block(at) * cdp.BlocksPerRegion
	if err := s.replica.ReadAt(disk, buf, first.Offset()); err != nil {
		return 0, 0, 0, err
	}
	for i, has := range want.Has {
		if !has || sumOf(buf[i*cdp.BlockSize:(i+1)*cdp.BlockSize]) == want.Sum[i] {
			continue
		}
		bad, err := s.damaged(disk, first+cdp.Block(i))
		if err != nil {
			return 0, 0, 0, err
		}
		if bad {
			damaged++
		}
	}
	return at, len(buf), damaged, nil
}
