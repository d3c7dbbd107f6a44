package vault_test

import (
	"math/rand/v2"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/admission"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/engine/vault"
	"tidemark.dev/pkg/engine/vault/vaulttest"
	"tidemark.dev/pkg/seedtest"
)

// Base and horizon are moved as far as possible while a seed goes straight into
// the replica, before each batch is durable: no older write comes back.
func TestMovesDuringASeedRestoreNoOldWrite(t *testing.T) {
	seed := seedtest.Seed(t)
	disks := []cdp.Disk{{ID: 0, Name: "a", Size: cdp.RegionSize}}
	for i := range 40 {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		m := vaulttest.NewModel(disks)
		g, err := vault.Open(t.Context(), disks, vaulttest.NewMemStore(), vaulttest.NewMemReplica(disks), vault.Config{Straight: true})
		if err != nil {
			t.Fatal(err)
		}
		flags := frame.ExtentStart
		for batch := range 4 {
			var frames []frame.Frame
			same := vaulttest.ModelWrite{Off: int64(batch) * cdp.BlockSize, Len: cdp.BlockSize} // by each frame of the batch
			for range 3 {
				if batch == 3 {
					flags |= frame.Consistent
				}
				raw := m.Frame(flags, 1, int64(len(m.Frames)+1)*1e9, same, m.RandomWrite(rng))
				flags = 0
				f, v, why, err := g.Offer(raw)
				if err != nil || v != admission.Accept {
					t.Fatal(v, why, err)
				}
				frames = append(frames, f)
			}
			b, err := g.Prepare(frames)
			if err != nil {
				t.Fatal(err)
			}
			move := func() {
				head := g.Bounds().Head
				if err := g.Merge(t.Context(), head); err != nil && !cdp.Is(err, cdp.Conflict) {
					t.Fatal(err)
				}
				if err := g.Retain(t.Context(), g.Bounds().Base); err != nil {
					t.Fatal(err)
				}
			}
			move()
			if _, err := b.Commit(); err != nil {
				t.Fatal(err)
			}
			move()
		}
		head := g.Bounds().Head
		v, err := g.View(head)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Check(head, v.ReadAt); err != nil {
			t.Fatalf("history %d: %v", i, err)
		}
		v.Close()
		g.Close()
	}
}
