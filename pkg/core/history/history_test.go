package history_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/history"
	"tidemark.dev/pkg/seedtest"
)

// content is a block: per sector the seq of the write it came from.
type content [cdp.SectorsPerBlock]cdp.Seq

func (c *content) apply(m cdp.Mask, from cdp.Seq) {
	for i := range c {
		if m&(1<<i) != 0 {
			c[i] = from
		}
	}
}

func (c *content) copy(m cdp.Mask, from content) {
	for i := range c {
		if m&(1<<i) != 0 {
			c[i] = from[i]
		}
	}
}

// block is a journal of one block that does exactly what the rules say.
type block struct {
	cdp.Bounds
	entries []history.Entry // newest first
	floor   *content
	replica content
}

func (b *block) read(at cdp.Seq) (c content) {
	var r history.Read
	for _, e := range b.entries {
		if e.Seq <= at {
			c.apply(r.Take(e.Mask), e.Seq)
		}
	}
	if b.floor != nil {
		c.copy(r.Rest(), *b.floor)
	} else {
		c.copy(r.Rest(), b.replica)
	}
	return c
}

// newest entry in (after, upTo], 0 for none.
func (b *block) newest(after, upTo cdp.Seq) cdp.Seq {
	for _, e := range b.entries {
		if e.Seq <= upTo && e.Seq > after {
			return e.Seq
		}
	}
	return 0
}

// raise applies writes one by one; a crash after some leaves base where it was.
func (b *block) raise(to cdp.Seq, crash bool) {
	for _, e := range slices.Backward(b.entries) {
		if e.Seq <= b.Base || e.Seq > to {
			continue
		}
		if history.BeforeApply(b.floor != nil) == history.SaveFloor {
			f := b.replica
			b.floor = &f
		}
		b.replica.apply(e.Mask, e.Seq)
		if crash {
			return
		}
	}
	b.Base = to
}

func (b *block) lower(to cdp.Seq) {
	if b.newest(to, b.Base) != 0 {
		b.replica = b.read(to)
	}
	b.Base = to
	if b.floor != nil && history.AfterLower(b.newest(b.Horizon, to), to) == history.DropFloor {
		b.floor = nil
	}
}

func (b *block) retain(to cdp.Seq) {
	if b.newest(b.Horizon, to) != 0 {
		switch history.AtHorizon(b.newest(to, b.Base), b.Base) {
		case history.SetFloor:
			f := b.read(to)
			b.floor = &f
		case history.DropFloor:
			b.floor = nil
		}
	}
	b.entries = slices.DeleteFunc(b.entries, func(e history.Entry) bool { return e.Seq <= to })
	b.Horizon = to
}

// A block lives through 100,000 random histories of writes, moves of base and
// of horizon, and crashes in the middle of a move up. At any time every point
// reads as the plain list of all its writes says.
func TestTheAlgebraAgreesWithThePlainListOfWrites(t *testing.T) {
	seed := seedtest.Seed(t)
	for i := range 100_000 {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		if err := life(rng); err != nil {
			t.Fatalf("history %d: %v", i, err)
		}
	}
}

func between(rng *rand.Rand, lo, hi cdp.Seq) cdp.Seq {
	return lo + cdp.Seq(rng.Uint64N(uint64(hi-lo)+1))
}

func life(rng *rand.Rand) error {
	var b block
	truth := []content{{}} // truth[s] is the block at seq s
	for step := range 14 {
		what := ""
		switch rng.IntN(5) {
		case 0, 1:
			what = "write"
			b.Head++
			now := truth[len(truth)-1]
			if rng.IntN(3) > 0 { // else the write was to another block
				lo := rng.IntN(cdp.SectorsPerBlock)
				m := cdp.Mask(1<<(1+rng.IntN(cdp.SectorsPerBlock-lo))-1) << lo
				if rng.IntN(2) == 0 {
					m = cdp.FullMask
				}
				b.entries = append([]history.Entry{{Seq: b.Head, Mask: m}}, b.entries...)
				now.apply(m, b.Head)
			}
			truth = append(truth, now)
		case 2:
			to, crash := between(rng, b.Base, b.Head), rng.IntN(3) == 0
			what = fmt.Sprint("raise ", to, crash)
			b.raise(to, crash)
			if crash { // reads are right in between; then it is done again
				if err := check(&b, truth); err != nil {
					return fmt.Errorf("step %d, in the middle of %s: %w", step, what, err)
				}
				b.raise(to, false)
			}
		case 3:
			to := between(rng, b.Horizon, b.Base)
			what = fmt.Sprint("lower ", to)
			b.lower(to)
		case 4:
			to := between(rng, b.Horizon, b.Base)
			what = fmt.Sprint("retain ", to)
			b.retain(to)
		}
		if !b.Valid() {
			return fmt.Errorf("step %d, %s: %v", step, what, b.Bounds)
		}
		if err := check(&b, truth); err != nil {
			return fmt.Errorf("step %d, %s: %w", step, what, err)
		}
		if b.replica != truth[b.Base] {
			return fmt.Errorf("step %d, %s: replica %v at base %d, want %v", step, what, b.replica, b.Base, truth[b.Base])
		}
	}
	return nil
}

func check(b *block, truth []content) error {
	for at := b.Horizon; at <= b.Head; at++ {
		if got := b.read(at); got != truth[at] {
			return fmt.Errorf("at %d (%v) it reads %v, want %v", at, b.Bounds, got, truth[at])
		}
	}
	return nil
}

// Every sector of a write is in exactly one piece, and zeros over whole regions
// come as one piece each.
func TestPiecesCoverAWriteOnce(t *testing.T) {
	seed := seedtest.Seed(t)
	for i := range 100_000 {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		off := rng.Int64N(3*cdp.RegionSize/cdp.SectorSize) * cdp.SectorSize
		n := (1 + rng.Int64N(40)) * cdp.SectorSize
		zero := rng.IntN(4) == 0
		if zero && rng.IntN(20) == 0 {
			n += rng.Int64N(3) * cdp.RegionSize
		}
		at := off
		history.Pieces(1, off, uint32(n), zero, func(p history.Piece) {
			switch {
			case p.Whole && (!zero || at != int64(p.Region)*cdp.RegionSize):
				t.Fatalf("case %d: whole region %d at %d", i, p.Region, at)
			case p.Whole:
				at += cdp.RegionSize
			default:
				for s := range int64(cdp.SectorsPerBlock) {
					if p.Mask&(1<<s) == 0 {
						continue
					}
					if p.Block.Offset()+s*cdp.SectorSize != at || p.Block.Region() != p.Region {
						t.Fatalf("case %d: block %d sector %d, want the one at %d", i, p.Block, s, at)
					}
					if int64(p.Off) > at-off {
						t.Fatalf("case %d: content at %d of the write, for its byte %d", i, p.Off, at-off)
					}
					at += cdp.SectorSize
				}
			}
		})
		if at != off+n {
			t.Fatalf("case %d: %d bytes at %d are covered up to %d", i, n, off, at)
		}
	}
}
