package vault_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/admission"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/engine/vault"
	"tidemark.dev/pkg/engine/vault/vaulttest"
	"tidemark.dev/pkg/seedtest"
)

var (
	histories = flag.Int("histories", 300, "how many random histories of a whole journal to try")
	only      = flag.Int("only", -1, "try only this history")
)

// A journal lives through a random life: frames come, base goes up and down,
// horizon follows, the index is written, the power fails at random moments. At
// any time every point between horizon and head reads as the model says.
func TestEveryPointReadsBackWhateverHappens(t *testing.T) {
	seed := seedtest.Seed(t)
	for i := range *histories {
		if *only >= 0 && i != *only {
			continue
		}
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		if err := life(rng, inMemory, false); err != nil {
			t.Fatalf("history %d (-seed %d -only %d): %v", i, seed, i, err)
		}
	}
}

// The test above can fail: a replica that loses a write is found out.
func TestALostWriteIsFoundOut(t *testing.T) {
	seed := seedtest.Seed(t)
	found := 0
	for i := range 60 {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		if life(rng, inMemory, true) != nil {
			found++
		}
	}
	if found < 15 {
		t.Fatalf("a store that loses every tenth frame's content was found out in %d of 60 histories only", found)
	}
	t.Logf("found out in %d of 60 histories", found)
}

// world is where a journal lives: its store and replica, which a crash leaves
// with what was durable and some of what was not.
type world interface {
	store() (vault.Store, error)
	replica() *vaulttest.MemReplica
	crash(rng *rand.Rand) error
	close() error
}

type memWorld struct {
	s *vaulttest.MemStore
	r *vaulttest.MemReplica
}

func (w memWorld) store() (vault.Store, error)    { return w.s, nil }
func (w memWorld) replica() *vaulttest.MemReplica { return w.r }
func (w memWorld) close() error                   { return nil }
func (w memWorld) crash(rng *rand.Rand) error {
	w.r.Crash(func() bool { return rng.IntN(2) == 0 })
	return nil
}

func inMemory(disks []cdp.Disk) (world, error) {
	return memWorld{vaulttest.NewMemStore(), vaulttest.NewMemReplica(disks)}, nil
}

func life(rng *rand.Rand, makeWorld func([]cdp.Disk) (world, error), lossy bool) (result error) {
	ctx := context.Background()
	disks := []cdp.Disk{{ID: 0, Name: "a", Size: 2*cdp.RegionSize + 3*cdp.SectorSize}, {ID: 1, Name: "b", Size: cdp.RegionSize}}
	m := vaulttest.NewModel(disks)
	w, err := makeWorld(disks)
	if err != nil {
		return err
	}
	fuse := &vaulttest.Fuse{}
	w.replica().Before = fuse.Blow
	cfg := vault.Config{TailEntries: 4 + rng.IntN(40), StepBytes: 1 << (12 + rng.IntN(8)), ForgetRecords: 1 + rng.IntN(30)}
	seeds := 0 // frames before the first consistent one
	if rng.IntN(2) == 0 {
		cfg.Straight, seeds = true, rng.IntN(12)
	}
	var g *vault.Group
	open := func() error {
		fuse.Mend()
		s, err := w.store()
		if err != nil {
			return err
		}
		g, err = vault.Open(ctx, disks, vaulttest.Fused{Store: s, Fuse: fuse}, w.replica(), cfg)
		return err
	}
	if err := open(); err != nil {
		return err
	}
	defer func() {
		g.Close()
		if err := w.close(); result == nil {
			result = err
		}
	}()
	acked := cdp.FrameNo(0)
	forgets := rng.IntN(3) == 0 // a roll-forward journal
	for step := range 25 {
		before := g.Bounds()
		if rng.IntN(4) == 0 {
			fuse.Light(1+rng.IntN(6), rng.IntN(2) == 0)
		}
		var err error
		what := ""
		switch rng.IntN(6) {
		case 0, 1:
			what = "ingest"
			err = ingest(g, m, rng, &acked, seeds, lossy)
		case 2:
			what = "raise"
			to := before.Base + cdp.Seq(rng.Uint64N(uint64(before.Head-before.Base)+1))
			if forgets && before.Base == before.Horizon {
				what = "merge"
				err = g.Merge(ctx, to)
			} else {
				err = g.Raise(ctx, to)
			}
		case 3:
			what = "lower"
			err = g.Lower(ctx, before.Horizon+cdp.Seq(rng.Uint64N(uint64(before.Base-before.Horizon)+1)))
		case 4:
			what = "retain"
			err = g.Retain(ctx, before.Horizon+cdp.Seq(rng.Uint64N(uint64(before.Base-before.Horizon)+1)))
		case 5:
			what = "crash"
			err = vaulttest.ErrPower
		}
		if err != nil && !errors.Is(err, vaulttest.ErrPower) {
			return fmt.Errorf("step %d, %s with %v: %w", step, what, before, err)
		}
		_, inMem := w.(memWorld)
		switch {
		case err != nil && inMem && what != "crash" && rng.IntN(3) == 0:
			// The store failed, and works again: no restart is needed.
			fuse.Mend()
			if err := g.Recover(ctx); err != nil {
				return fmt.Errorf("step %d, recover after %s: %w", step, what, err)
			}
		case err != nil:
			g.Close()
			if err := w.crash(rng); err != nil {
				return fmt.Errorf("step %d, crash: %w", step, err)
			}
			if err := open(); err != nil {
				return fmt.Errorf("step %d, open after %s: %w", step, what, err)
			}
		}
		fuse.Mend()
		if g.Stored().No < acked {
			return fmt.Errorf("step %d, %s: frame %d was acknowledged, the journal ends at %d", step, what, acked, g.Stored().No)
		}
		err = compare(g, m, rng)
		if errors.Is(err, vaulttest.ErrPower) { // it failed in the background
			g.Close()
			if err := w.crash(rng); err != nil {
				return fmt.Errorf("step %d, crash: %w", step, err)
			}
			if err := open(); err != nil {
				return fmt.Errorf("step %d, open after a crash in the background: %w", step, err)
			}
			err = compare(g, m, rng)
		}
		if err != nil {
			return fmt.Errorf("step %d, after %s, was %v: %w", step, what, before, err)
		}
	}
	return nil
}

// ingest sends what the journal has not got: first what was lost, then new
// frames.
func ingest(g *vault.Group, m *vaulttest.Model, rng *rand.Rand, acked *cdp.FrameNo, seeds int, lossy bool) error {
	for range 1 + rng.IntN(4) {
		if int(g.Stored().No) == len(m.Frames) {
			var ws []vaulttest.ModelWrite
			for range rng.IntN(6) {
				ws = append(ws, m.RandomWrite(rng))
			}
			flags := frame.Flags(0)
			if len(m.Frames) >= seeds {
				flags |= frame.Consistent
				if rng.IntN(2) == 0 {
					flags |= frame.Marker
				}
			}
			if len(m.Frames) == 0 {
				flags |= frame.ExtentStart
			}
			m.Frame(flags, 1, int64(len(m.Frames)+1)*1e9, ws...)
		}
		var batch []frame.Frame
		for _, raw := range m.Frames[g.Stored().No:] {
			f, v, why, err := g.Offer(raw)
			if err != nil || v != admission.Accept {
				return fmt.Errorf("offer: %v %s %w", v, why, err)
			}
			if lossy && rng.IntN(10) == 0 {
				clear(f.Payload())
			}
			batch = append(batch, f)
		}
		b, err := g.Prepare(batch)
		if err != nil {
			return err
		}
		if _, err := b.Commit(); err != nil {
			return err
		}
		*acked = g.Stored().No
	}
	return nil
}

// compare reads the hot ranges at horizon, base, head and some points between.
func compare(g *vault.Group, m *vaulttest.Model, rng *rand.Rand) error {
	b := g.Bounds()
	if !b.Valid() {
		return fmt.Errorf("invalid bounds %v", b)
	}
	if g.State().Straight {
		if v, err := g.View(b.Head); !cdp.Is(err, cdp.NotFound) {
			return fmt.Errorf("a view was opened before the seed's end: %v %w", v, err)
		}
		return nil
	}
	for _, at := range []cdp.Seq{b.Horizon, b.Base, b.Head, b.Horizon + cdp.Seq(rng.Uint64N(uint64(b.Head-b.Horizon)+1))} {
		v, err := g.View(at)
		if err != nil {
			return err
		}
		err = m.Check(at, v.ReadAt)
		v.Close()
		if err != nil {
			return fmt.Errorf("%v: %w", b, err)
		}
	}
	return nil
}
