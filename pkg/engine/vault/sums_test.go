package vault_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/engine/vault"
	"tidemark.dev/pkg/engine/vault/vaulttest"
	"tidemark.dev/pkg/seedtest"
)

// Bits of the replica flip during a journal's life. Whatever the journal does
// afterwards, every block of every point reads as it was, or is refused as damaged.
func TestADamagedReplicaIsNeverReadAsContent(t *testing.T) {
	seed := seedtest.Seed(t)
	refused := 0
	for i := range 15 {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		disks := []cdp.Disk{{ID: 0, Name: "a", Size: 2*cdp.RegionSize + 3*cdp.SectorSize}, {ID: 1, Name: "b", Size: cdp.RegionSize}}
		w, err := inMemory(disks)
		if err != nil {
			t.Fatal(err)
		}
		l := &oneLife{w: w, m: vaulttest.NewModel(disks), rng: rng, fuse: &vaulttest.Fuse{}, seeds: rng.IntN(5)}
		l.cfg = vault.Config{TailEntries: 4 + rng.IntN(40), StepBytes: 1 << (12 + rng.IntN(8)), ForgetRecords: 1 + rng.IntN(30), Straight: rng.IntN(2) == 0}
		l.forgets = rng.IntN(3) == 0
		n, err := damagedLife(l)
		l.g.Close()
		if err != nil {
			t.Fatalf("history %d (-seed %d): %v", i, seed, err)
		}
		refused += n
	}
	if refused < 20 {
		t.Errorf("only %d damaged blocks were read at all", refused)
	}
	t.Logf("%d blocks were refused", refused)
}

func damagedLife(l *oneLife) (refused int, err error) {
	if err := l.open(); err != nil {
		return 0, err
	}
	for range 25 {
		_, err := l.act(l.g.Bounds())
		if errors.Is(err, vaulttest.ErrPower) {
			err = l.restart()
		}
		if err != nil && !cdp.Is(err, cdp.Corrupt) {
			return refused, err
		}
		st := l.g.State()
		if st.Straight || st.Moving != st.Base || st.Base == 0 { // nothing was written, or nothing is said
			continue
		}
		if l.rng.IntN(3) == 0 {
			d := l.m.Disks[l.rng.IntN(2)]
			l.w.replica().Flip(d.ID, l.rng.Int64N(d.Size/cdp.RegionSize)*cdp.RegionSize+l.rng.Int64N(6*cdp.BlockSize))
		}
		n, err := compareDamaged(l)
		if err != nil {
			return refused, err
		}
		refused += n
	}
	return refused, nil
}

// compareDamaged compares horizon, base and head block by block; refused blocks
// count as right.
func compareDamaged(l *oneLife) (refused int, err error) {
	b := l.g.Bounds()
	for _, at := range []cdp.Seq{b.Horizon, b.Base, b.Head} {
		v, err := l.g.View(at)
		if err != nil {
			return 0, err
		}
		err = l.m.Check(at, func(disk cdp.DiskID, p []byte, off int64) error {
			for len(p) > 0 {
				n := min(len(p), cdp.BlockSize)
				err := v.ReadAt(disk, p[:n], off)
				if cdp.Is(err, cdp.Corrupt) {
					refused++
					for s := range n / cdp.SectorSize {
						want := l.m.Sector(at, disk, off/cdp.SectorSize+int64(s))
						copy(p[s*cdp.SectorSize:], want[:])
					}
				} else if err != nil {
					return err
				}
				p, off = p[n:], off+int64(n)
			}
			return nil
		})
		v.Close()
		if err != nil {
			return refused, err
		}
	}
	return refused, nil
}

// A scrub finds a block that nobody reads. It is whole again once it is written.
func TestAScrubFindsWhatNobodyReads(t *testing.T) {
	ctx := context.Background()
	disks := []cdp.Disk{{ID: 0, Name: "a", Size: 4 * cdp.RegionSize}}
	m, r := vaulttest.NewModel(disks), vaulttest.NewMemReplica(disks)
	g, err := vault.Open(ctx, disks, vaulttest.NewMemStore(), r, vault.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	var frames int64 // bytes of their headers and content, which a scrub reads, too
	write := func(w vaulttest.ModelWrite) {
		frames += frame.HeaderSize + w.Len
		f, _, _, err := g.Offer(m.Frame(frame.Consistent, 1, 1e9, w))
		if err != nil {
			t.Fatal(err)
		}
		b, err := g.Prepare([]frame.Frame{f})
		if err == nil {
			_, err = b.Commit()
		}
		if err == nil {
			err = g.Raise(ctx, g.Bounds().Head)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	scrub := func() vault.Scrubbed {
		s, err := g.Scrub(ctx, func(int) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	write(vaulttest.ModelWrite{Off: 0, Len: 64 << 10})
	write(vaulttest.ModelWrite{Off: 2 * cdp.RegionSize, Len: 64 << 10})
	if s := scrub(); s.Damaged != 0 || s.Bytes != 2*cdp.RegionSize+frames || g.Damage() != nil {
		t.Fatalf("a whole replica: %+v, %d in frames, %v", s, frames, g.Damage())
	}
	r.Flip(0, 2*cdp.RegionSize+5000)
	if s := scrub(); s.Damaged != 1 || !cdp.Is(g.Damage(), cdp.Corrupt) {
		t.Fatalf("a damaged replica: %+v, %v", s, g.Damage())
	}
	write(vaulttest.ModelWrite{Off: 2*cdp.RegionSize + 4096, Len: 4096})
	if s := scrub(); s.Damaged != 0 || g.Damage() != nil {
		t.Fatalf("written again: %+v, %v", s, g.Damage())
	}
}
