package vault_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/engine/vault"
	"tidemark.dev/pkg/engine/vault/vaulttest"
	"tidemark.dev/pkg/seedtest"
)

// The headers of some frames that the replica has passed cannot be read any more. All
// points read back; frames come in, horizon passes the damage, and base moves down over
// it, as if nothing had happened.
func TestDamagedHeadersOfOldFramesCostNothing(t *testing.T) {
	seed := seedtest.Seed(t)
	for i := range max(1, *histories/20) {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		if err := lifeOverDamage(rng); err != nil {
			t.Fatalf("history %d (-seed %d): %v", i, seed, err)
		}
	}
}

func lifeOverDamage(rng *rand.Rand) error {
	ctx := context.Background()
	disks := []cdp.Disk{{ID: 0, Name: "a", Size: 2 * cdp.RegionSize}, {ID: 1, Name: "b", Size: cdp.RegionSize}}
	s := vaulttest.Damaged{Store: vaulttest.NewMemStore(), Headers: map[cdp.FrameNo]bool{}}
	g, err := vault.Open(ctx, disks, s, vaulttest.NewMemReplica(disks),
		vault.Config{TailEntries: 4 + rng.IntN(40), StepBytes: 1 << (12 + rng.IntN(8)), ForgetRecords: 1 + rng.IntN(30)})
	if err != nil {
		return err
	}
	defer g.Close()
	m := vaulttest.NewModel(disks)
	var acked cdp.FrameNo
	more := func() error { return ingest(g, m, rng, &acked, 0, false, nil) }
	between := func(a, b cdp.Seq) cdp.Seq { return a + cdp.Seq(rng.Uint64N(uint64(b-a)+1)) }
	for range 10 {
		if err := more(); err != nil {
			return err
		}
	}
	if err := g.Raise(ctx, between(g.Bounds().Head/2, g.Bounds().Head)); err != nil {
		return err
	}
	base := g.Bounds().Base
	last := cdp.FrameNo(1) // that may be damaged
	if err := s.Tables(1, g.Stored().No-1, frameUpTo(base, &last)); err != nil {
		return err
	}
	for range 6 {
		s.Headers[1+cdp.FrameNo(rng.Uint64N(uint64(last)))] = true
	}
	for n := range 8 {
		b := g.Bounds()
		var what string
		var err error
		switch {
		case n == 7:
			what, err = "lower", g.Lower(ctx, between(b.Horizon, b.Base))
		case rng.IntN(3) == 0:
			what, err = "ingest", more()
		case rng.IntN(2) == 0:
			what, err = "raise", g.Raise(ctx, between(b.Base, b.Head))
		default:
			what, err = "retain", g.Retain(ctx, between(b.Horizon, b.Base))
		}
		if err == nil {
			err = compare(g, m, rng)
		}
		if err != nil {
			return fmt.Errorf("step %d, %s with %v: %w", n, what, b, err)
		}
	}
	b := g.Bounds()
	if err := g.Retain(ctx, b.Base); err != nil || g.Bounds().Horizon != b.Base {
		return fmt.Errorf("retain all of %v: %w", b, err)
	}
	return compare(g, m, rng)
}

// frameUpTo notes the newest frame whose writes base has passed.
func frameUpTo(base cdp.Seq, last *cdp.FrameNo) func(frame.Table) error {
	return func(t frame.Table) error {
		if t.Last() <= base {
			*last = t.No
		}
		return nil
	}
}

// Stored content of some frames that the replica has passed cannot be read any more.
// After a scrub it is known of every write whether the disks as they were then can be
// read, and it stays right while frames come, base follows and horizon moves.
func TestWhatDamagedContentCostsIsKnown(t *testing.T) {
	seed := seedtest.Seed(t)
	cost := 0
	for i := range max(1, *histories/30) {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		n, err := lifeWithDamagedContent(rng)
		if err != nil {
			t.Fatalf("history %d (-seed %d): %v", i, seed, err)
		}
		cost += n
	}
	if cost == 0 {
		t.Error("no damage cost anything")
	}
}

func lifeWithDamagedContent(rng *rand.Rand) (cost int, err error) {
	ctx := context.Background()
	disks := []cdp.Disk{{ID: 0, Name: "a", Size: 2 * cdp.RegionSize}}
	s := vaulttest.Damaged{Store: vaulttest.NewMemStore(), Payloads: map[cdp.FrameNo]bool{}}
	g, err := vault.Open(ctx, disks, s, vaulttest.NewMemReplica(disks), vault.Config{TailEntries: 4 + rng.IntN(40)})
	if err != nil {
		return 0, err
	}
	defer g.Close()
	m := vaulttest.NewModel(disks)
	var acked cdp.FrameNo
	between := func(a, b cdp.Seq) cdp.Seq { return a + cdp.Seq(rng.Uint64N(uint64(b-a)+1)) }
	for range 6 {
		if err := ingest(g, m, rng, &acked, 0, false, nil); err != nil {
			return 0, err
		}
	}
	if err := g.Raise(ctx, g.Bounds().Head); err != nil {
		return 0, err
	}
	for range 4 {
		s.Payloads[1+cdp.FrameNo(rng.Uint64N(uint64(g.Stored().No)))] = true
	}
	if _, err := g.Scrub(ctx, func(int) error { return nil }); err != nil {
		return 0, err
	}
	for n := range 5 {
		more, err := costsAsKnown(g, m)
		if err != nil {
			return 0, fmt.Errorf("step %d, %v: %w", n, g.Bounds(), err)
		}
		cost += more
		b := g.Bounds()
		switch rng.IntN(3) {
		case 0:
			err = ingest(g, m, rng, &acked, 0, false, nil)
		case 1:
			err = g.Raise(ctx, between(b.Base, b.Head))
		case 2:
			err = g.Retain(ctx, between(b.Horizon, b.Base))
		}
		if err != nil {
			return 0, fmt.Errorf("step %d, %v: %w", n, b, err)
		}
	}
	return cost, nil
}

// costsAsKnown reads every write in the journal: what cannot be read is what the journal
// says, and the rest is right. It returns how many cannot.
func costsAsKnown(g *vault.Group, m *vaulttest.Model) (cost int, err error) {
	lost, err := g.Unreadable()
	if err != nil {
		return 0, err
	}
	for s, b := g.Bounds().Horizon, g.Bounds(); s <= b.Head; s++ {
		v, err := g.View(s)
		if err != nil {
			return 0, err
		}
		err = m.Check(s, v.ReadAt)
		v.Close()
		known := slices.ContainsFunc(lost, func(u vault.Unreadable) bool { return u.Has(s) })
		if err != nil && !cdp.Is(err, cdp.Corrupt) || known != (err != nil) {
			return 0, fmt.Errorf("write %d: known as lost %v of %v: %w", s, known, lost, err)
		}
		if known {
			cost++
		}
	}
	return cost, nil
}
