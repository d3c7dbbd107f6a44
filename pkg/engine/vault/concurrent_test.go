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
		g, err := vault.Open(context.Background(), disks, s, w.r, vault.Config{TailEntries: 30, StepBytes: 64 << 10, ForgetRecords: 20})
		if err != nil {
			t.Fatal(err)
		}
		busy := &busyJournal{g: g, m: vaulttest.NewModel(disks)}
		for range 4 {
			if err := ingest(g, busy.m, rng, &busy.acked, 0, false, nil); err != nil {
				t.Fatal(err)
			}
		}
		stop := make(chan struct{})
		var wg sync.WaitGroup
		fail := make(chan error, 16)
		for k := range 3 {
			wg.Go(func() {
				if err := busy.read(rand.New(rand.NewPCG(seed, uint64(100*i+k))), k == 0, stop); err != nil {
					fail <- err
				}
			})
		}
		for range 40 {
			if err := busy.move(rng); err != nil {
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

// busyJournal is a journal that is read while it changes.
type busyJournal struct {
	g     *vault.Group
	acked cdp.FrameNo

	mu sync.Mutex // the model grows while readers compare
	m  *vaulttest.Model
}

// read compares views with the model until stop.
func (b *busyJournal) read(rng *rand.Rand, sparse bool, stop <-chan struct{}) error {
	for {
		select {
		case <-stop:
			return nil
		default:
		}
		bounds := b.g.Bounds()
		at := bounds.Horizon + cdp.Seq(rng.Uint64N(uint64(bounds.Head-bounds.Horizon)+1))
		v, err := b.g.View(at)
		if err != nil {
			continue // horizon has passed it
		}
		if sparse {
			v.Sparse()
		}
		for range 3 {
			b.mu.Lock()
			seen := &vaulttest.Model{Disks: b.m.Disks, Writes: b.m.Writes[:at:at]}
			b.mu.Unlock()
			if err := seen.Check(at, v.ReadAt); err != nil {
				v.Close()
				return fmt.Errorf("view of %d: %w", at, err)
			}
		}
		v.Close()
	}
}

// move takes frames in, or moves base or horizon.
func (b *busyJournal) move(rng *rand.Rand) error {
	ctx, bounds := context.Background(), b.g.Bounds()
	switch rng.IntN(5) {
	case 0, 1:
		b.mu.Lock()
		defer b.mu.Unlock()
		return ingest(b.g, b.m, rng, &b.acked, 0, false, nil)
	case 2:
		return b.g.Raise(ctx, bounds.Base+cdp.Seq(rng.Uint64N(uint64(bounds.Head-bounds.Base)+1)))
	case 3:
		return b.g.Lower(ctx, bounds.Horizon+cdp.Seq(rng.Uint64N(uint64(bounds.Base-bounds.Horizon)+1)))
	}
	err := b.g.Retain(ctx, bounds.Horizon+cdp.Seq(rng.Uint64N(uint64(bounds.Base-bounds.Horizon)/4+1)))
	if cdp.Is(err, cdp.Conflict) {
		err = nil // a view keeps horizon from passing
	}
	return err
}
