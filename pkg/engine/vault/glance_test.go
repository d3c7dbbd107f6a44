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

// Readers glance at head all the time, without a pause, while frames are merged:
// every glance is right, and no merge fails for it.
func TestGlancesAreRightAndDelayNoMove(t *testing.T) {
	seed := seedtest.Seed(t)
	rng := rand.New(rand.NewPCG(seed, 4))
	disks := []cdp.Disk{{ID: 0, Name: "a", Size: 2*cdp.RegionSize + 3*cdp.SectorSize}}
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
	defer g.Close()
	m := vaulttest.NewModel(disks)
	var mu sync.Mutex // the model grows while others compare
	stop := make(chan struct{})
	fail := make(chan error, 4)
	var wg sync.WaitGroup
	looks := [3]int{}
	for k := range looks {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				err := g.Glance(func(v *vault.View) error {
					mu.Lock()
					seen := &vaulttest.Model{Disks: disks, Writes: m.Writes[:v.At():v.At()]}
					mu.Unlock()
					return seen.Check(v.At(), v.ReadAt)
				})
				if err != nil {
					fail <- fmt.Errorf("a glance at head: %w", err)
					return
				}
				looks[k]++
			}
		})
	}
	var acked cdp.FrameNo
	for range 60 {
		mu.Lock()
		err := ingest(g, m, rng, &acked, 0, false, nil)
		mu.Unlock()
		if err != nil {
			t.Fatal(err)
		}
		head := g.Bounds().Head
		if err := g.Merge(ctx, head); err != nil {
			t.Fatal(err)
		}
		if err := g.Retain(ctx, head); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	wg.Wait()
	select {
	case err := <-fail:
		t.Fatal(err)
	default:
	}
	if looks[0]+looks[1]+looks[2] == 0 {
		t.Fatal("there was no glance")
	}
}

// A group releases its replica only when it is halted, to the run that halted it.
// Then nothing moves, also after a restart, until it is resumed.
func TestReleasedReplicaIsLeftAlone(t *testing.T) {
	rng := rand.New(rand.NewPCG(seedtest.Seed(t), 5))
	disks := []cdp.Disk{{ID: 0, Name: "a", Size: cdp.RegionSize}}
	w := &pebbleWorld{fs: vfs.NewMem(), r: vaulttest.NewMemReplica(disks), disks: disks, bulk: 64 << 10}
	s, err := w.store()
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	g, err := vault.Open(ctx, disks, s, w.r, vault.Config{})
	if err != nil {
		t.Fatal(err)
	}
	m := vaulttest.NewModel(disks)
	var acked cdp.FrameNo
	for range 4 {
		if err := ingest(g, m, rng, &acked, 0, false, nil); err != nil {
			t.Fatal(err)
		}
	}
	conflict := func(what string, err error) {
		t.Helper()
		if !cdp.Is(err, cdp.Conflict) {
			t.Errorf("%s: %v", what, err)
		}
	}
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	conflict("release of a group that takes writes", g.Release(ctx, "r1"))
	ok(g.Halt("r1", true))
	conflict("release for another run", g.Release(ctx, "r2"))
	ok(g.Release(ctx, "r1"))
	ok(g.Release(ctx, "r1"))
	conflict("another run", g.Halt("r2", true))
	conflict("another run's resume", g.Halt("r2", false))
	for range 2 {
		conflict("raise", g.Raise(ctx, g.Bounds().Head))
		conflict("lower", g.Lower(ctx, 0))
		conflict("retain", g.Retain(ctx, 1))
		ok(g.Close())
		g, err = vault.Open(ctx, disks, s, w.r, vault.Config{})
		ok(err)
	}
	ok(g.Halt("r1", false))
	if st := g.State(); st.Released || st.Halted || st.Run != "" {
		t.Errorf("%+v", st)
	}
	ok(g.Raise(ctx, g.Bounds().Head))
	ok(g.Close())
}
