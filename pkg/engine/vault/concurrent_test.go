package vault_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/engine/vault"
	"tidemark.dev/pkg/engine/vault/vaulttest"
	"tidemark.dev/pkg/seedtest"
)

// Readers look at views all the time while frames come in, base goes up and
// down, and horizon follows: every read is of its own seq.
func TestViewsStayRightWhileEverythingMoves(t *testing.T) {
	seed := seedtest.Seed(t)
	for i := range 6 {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		disks := []cdp.Disk{{ID: 0, Name: "a", Size: 2*cdp.RegionSize + 3*cdp.SectorSize}, {ID: 1, Name: "b", Size: cdp.RegionSize}}
		w := &pebbleWorld{fs: vfs.NewMem(), r: vaulttest.NewMemReplica(disks), disks: disks, bulk: 64 << 10}
		s, err := w.store()
		if err != nil {
			t.Fatal(err)
		}
		ctx := context.Background()
		g, err := vault.Open(ctx, disks, s, w.r, vault.Config{TailEntries: 30, StepBytes: 64 << 10, ForgetRecords: 20})
		if err != nil {
			t.Fatal(err)
		}
		m := vaulttest.NewModel(disks)
		var acked cdp.FrameNo
		for range 4 {
			if err := ingest(g, m, rng, &acked, 0, false); err != nil {
				t.Fatal(err)
			}
		}
		var mu sync.Mutex // the model grows while readers compare
		stop := make(chan struct{})
		var wg sync.WaitGroup
		fail := make(chan error, 16)
		for k := range 3 {
			wg.Go(func() {
				rng := rand.New(rand.NewPCG(seed, uint64(100*i+k)))
				for {
					select {
					case <-stop:
						return
					default:
					}
					b := g.Bounds()
					at := b.Horizon + cdp.Seq(rng.Uint64N(uint64(b.Head-b.Horizon)+1))
					v, err := g.View(at)
					if err != nil {
						continue // horizon has passed it
					}
					if k == 0 {
						v.Sparse()
					}
					for range 3 {
						mu.Lock()
						seen := &vaulttest.Model{Disks: disks, Writes: m.Writes[:at:at]}
						mu.Unlock()
						if err := seen.Check(at, v.ReadAt); err != nil {
							fail <- fmt.Errorf("view of %d: %w", at, err)
							v.Close()
							return
						}
					}
					v.Close()
				}
			})
		}
		for range 40 {
			b := g.Bounds()
			switch rng.IntN(5) {
			case 0, 1:
				mu.Lock()
				err = ingest(g, m, rng, &acked, 0, false)
				mu.Unlock()
			case 2:
				err = g.Raise(ctx, b.Base+cdp.Seq(rng.Uint64N(uint64(b.Head-b.Base)+1)))
			case 3:
				err = g.Lower(ctx, b.Horizon+cdp.Seq(rng.Uint64N(uint64(b.Base-b.Horizon)+1)))
			case 4:
				if err = g.Retain(ctx, b.Horizon+cdp.Seq(rng.Uint64N(uint64(b.Base-b.Horizon)/4+1))); cdp.Is(err, cdp.Conflict) {
					err = nil // a view holds horizon
				}
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		close(stop)
		wg.Wait()
		select {
		case err := <-fail:
			t.Fatalf("round %d (-seed %d): %v", i, seed, err)
		default:
		}
		if err := g.Close(); err != nil {
			t.Fatal(err)
		}
		if err := w.close(); err != nil {
			t.Fatal(err)
		}
	}
}
