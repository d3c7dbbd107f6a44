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
// horizon follows, the index is written, the power fails and the disk fills up at
// random moments. At any time every point between horizon and head reads as the model says.
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

// The test above can fail: it detects a store that loses the content of frames.
func TestALostWriteIsDetected(t *testing.T) {
	seed := seedtest.Seed(t)
	found := 0
	for i := range 60 {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		if life(rng, inMemory, true) != nil {
			found++
		}
	}
	if found < 15 {
		t.Fatalf("a store that loses every tenth frame's content was detected in only %d of 60 histories", found)
	}
	t.Logf("detected in %d of 60 histories", found)
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
	if rng.IntN(3) == 0 { // the index was damaged, too
		return w.s.LoseIndex()
	}
	return nil
}

func inMemory(disks []cdp.Disk) (world, error) {
	return memWorld{vaulttest.NewMemStore(), vaulttest.NewMemReplica(disks)}, nil
}

func life(rng *rand.Rand, makeWorld func([]cdp.Disk) (world, error), lossy bool) (result error) {
	disks := []cdp.Disk{{ID: 0, Name: "a", Size: 2*cdp.RegionSize + 3*cdp.SectorSize}, {ID: 1, Name: "b", Size: cdp.RegionSize}}
	w, err := makeWorld(disks)
	if err != nil {
		return err
	}
	l := &oneLife{w: w, m: vaulttest.NewModel(disks), rng: rng, fuse: &vaulttest.Fuse{}, lossy: lossy}
	w.replica().Before = l.fuse.Blow
	l.cfg = vault.Config{TailEntries: 4 + rng.IntN(40), StepBytes: 1 << (12 + rng.IntN(8)), ForgetRecords: 1 + rng.IntN(30)}
	if rng.IntN(2) == 0 {
		l.cfg.Straight, l.seeds = true, rng.IntN(12)
	}
	if err := l.open(); err != nil {
		return err
	}
	defer func() {
		l.g.Close()
		if err := w.close(); result == nil {
			result = err
		}
	}()
	l.forgets = rng.IntN(3) == 0
	l.grows = !lossy && rng.IntN(4) == 0
	for n := range 25 {
		before := l.g.Bounds()
		if what, err := l.step(before); err != nil {
			return fmt.Errorf("step %d, %s with %v: %w", n, what, before, err)
		}
	}
	return nil
}

// oneLife is a journal, its world, and what it must answer.
type oneLife struct {
	w       world
	g       *vault.Group
	m       *vaulttest.Model
	rng     *rand.Rand
	fuse    *vaulttest.Fuse
	cfg     vault.Config
	seeds   int // frames before the first consistent one
	acked   cdp.FrameNo
	forgets bool // a roll-forward journal
	lossy   bool
	grows   bool // now and then the source's disks grow, and one is added
}

func (l *oneLife) open() error {
	l.fuse.Mend()
	s, err := l.w.store()
	if err != nil {
		return err
	}
	l.g, err = vault.Open(context.Background(), l.m.Layouts[0].Disks, vaulttest.Fused{Store: s, Fuse: l.fuse}, l.w.replica(), l.cfg)
	return err
}

// step does something, perhaps loses power over it, comes back, and compares.
func (l *oneLife) step(before cdp.Bounds) (what string, err error) {
	switch l.rng.IntN(8) {
	case 0, 1:
		l.fuse.Light(1+l.rng.IntN(6), l.rng.IntN(2) == 0)
	case 2:
		l.fuse.Fill(1 + l.rng.IntN(6))
	}
	what, err = l.act(before)
	_, inMem := l.w.(memWorld)
	if cdp.Is(err, cdp.Full) { // it goes on as it is, once there is room
		l.fuse.Mend()
		l.g.ForgetOffered()
		switch err = nil; {
		case l.g.Broken() != nil && inMem:
			err = l.g.Recover(context.Background())
		case l.g.Broken() != nil: // the fuse leaves a set of frames begun
			err = vaulttest.ErrPower
		default:
			err = l.g.Raise(context.Background(), 0) // finishes the move that was begun
		}
	}
	if err != nil && !errors.Is(err, vaulttest.ErrPower) {
		return what, err
	}
	switch {
	case err != nil && inMem && what != "crash" && l.rng.IntN(3) == 0:
		// The store failed, and works again: no restart is needed.
		l.fuse.Mend()
		if err := l.g.Recover(context.Background()); err != nil {
			return what, fmt.Errorf("recover: %w", err)
		}
	case err != nil:
		if err := l.restart(); err != nil {
			return what, err
		}
	}
	l.fuse.Mend()
	if no := l.g.Stored().No; no < l.acked {
		return what, fmt.Errorf("frame %d was acknowledged, the journal ends at %d", l.acked, no)
	}
	err = compare(l.g, l.m, l.rng)
	if errors.Is(err, vaulttest.ErrPower) { // it failed in the background
		if err := l.restart(); err != nil {
			return what, fmt.Errorf("in the background: %w", err)
		}
		err = compare(l.g, l.m, l.rng)
	}
	return what, err
}

// act does one of the things that a journal is for, or nothing.
func (l *oneLife) act(b cdp.Bounds) (what string, err error) {
	ctx := context.Background()
	switch l.rng.IntN(6) {
	case 0, 1:
		return "ingest", l.ingest()
	case 2:
		to := b.Base + cdp.Seq(l.rng.Uint64N(uint64(b.Head-b.Base)+1))
		if l.forgets && b.Base == b.Horizon {
			return "merge", l.g.Merge(ctx, to)
		}
		return "raise", l.g.Raise(ctx, to)
	case 3:
		return "lower", l.g.Lower(ctx, b.Horizon+cdp.Seq(l.rng.Uint64N(uint64(b.Base-b.Horizon)+1)))
	case 4:
		err := l.g.Retain(ctx, b.Horizon+cdp.Seq(l.rng.Uint64N(uint64(b.Base-b.Horizon)+1)))
		if err != nil || l.rng.IntN(2) == 0 {
			return "retain", err
		}
		return "reclaim", l.g.Reclaim(ctx)
	}
	return "crash", vaulttest.ErrPower
}

// restart is a loss of power, and the journal opened again.
func (l *oneLife) restart() error {
	l.g.Close()
	if err := l.w.crash(l.rng); err != nil {
		return fmt.Errorf("crash: %w", err)
	}
	if err := l.open(); err != nil {
		return fmt.Errorf("open after a crash: %w", err)
	}
	return nil
}

// ingest sends what the journal does not have: first what was lost, then new
// frames. grow makes the disks those of the model, when a frame needs it.
func ingest(g *vault.Group, m *vaulttest.Model, rng *rand.Rand, acked *cdp.FrameNo, seeds int, lossy bool, grow func() error) error {
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
			if outside := (*vault.Outside)(nil); errors.As(err, &outside) && grow != nil {
				if err := grow(); err != nil {
					return err
				}
				f, v, why, err = g.Offer(raw)
			}
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
		then := &vaulttest.Model{Disks: v.Disks(), Writes: m.Writes}
		err = then.Check(at, holesAreZeros(v))
		if is, was := fmt.Sprint(v.Disks()), fmt.Sprint(m.Layouts.At(at)); err == nil && is != was {
			err = fmt.Errorf("at %d the disks are %s, want %s", at, is, was)
		}
		v.Close()
		if err != nil {
			return fmt.Errorf("%v: %w", b, err)
		}
	}
	return nil
}
