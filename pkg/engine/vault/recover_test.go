package vault_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/admission"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/engine/vault"
	"tidemark.dev/pkg/engine/vault/vaulttest"
)

// A store fails in the middle of a seed, and the journal goes on with it, again
// and again, while a source asks for checksums. Every glance is of the replica.
func TestGlancesGoOnWhileAJournalRecovers(t *testing.T) {
	ctx := context.Background()
	disks := []cdp.Disk{{ID: 0, Name: "a", Size: cdp.RegionSize}}
	fuse := &vaulttest.Fuse{}
	g, err := vault.Open(ctx, disks, vaulttest.Fused{Store: vaulttest.NewMemStore(), Fuse: fuse}, vaulttest.NewMemReplica(disks), vault.Config{Straight: true})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	m := vaulttest.NewModel(disks)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	defer wg.Wait()
	defer close(stop)
	wg.Go(func() {
		var block [cdp.BlockSize]byte
		for {
			select {
			case <-stop:
				return
			default:
			}
			err := g.Glance(func(v *vault.View) error { return v.ReadAt(0, block[:], 0) })
			if err != nil && !errors.Is(err, vaulttest.ErrPower) {
				t.Error(err)
				return
			}
		}
	})
	flags := frame.ExtentStart
	for n := range 200 {
		raw := m.Frame(flags, 1, int64(n+1)*1e9, vaulttest.ModelWrite{Len: cdp.BlockSize})
		flags = 0
		for int(g.Stored().No) < len(m.Frames) {
			f, v, why, err := g.Offer(raw)
			if err != nil || v != admission.Accept {
				t.Fatal(v, why, err)
			}
			if n%2 == 1 {
				fuse.Light(1, false)
			}
			b, err := g.Prepare([]frame.Frame{f})
			if err == nil {
				_, err = b.Commit()
			}
			if err == nil {
				break
			}
			fuse.Mend()
			n++
			if err := g.Recover(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// floorCounter counts the calls that save floors.
type floorCounter struct {
	vault.Store
	saved atomic.Int64
}

func (s *floorCounter) AddFloors(own []vault.Floor, zeros []vault.ZeroFloor) error {
	s.saved.Add(1)
	return s.Store.AddFloors(own, zeros)
}

// A store fails as a seed ends, and its owner asks for base to move all the time.
// The seed ends before anything else moves: there is no history yet, so no floor
// is saved.
func TestNothingMovesBeforeARecoveredSeedHasEnded(t *testing.T) {
	ctx := context.Background()
	disks := []cdp.Disk{{ID: 0, Name: "a", Size: cdp.RegionSize}}
	for range 100 {
		fuse := &vaulttest.Fuse{}
		s := &floorCounter{Store: vaulttest.Fused{Store: vaulttest.NewMemStore(), Fuse: fuse}}
		g, err := vault.Open(ctx, disks, s, vaulttest.NewMemReplica(disks), vault.Config{Straight: true})
		if err != nil {
			t.Fatal(err)
		}
		m := vaulttest.NewModel(disks)
		for n, flags := range []frame.Flags{frame.ExtentStart, 0, frame.Consistent} {
			f, v, why, err := g.Offer(m.Frame(flags, 1, int64(n+1)*1e9, vaulttest.ModelWrite{Len: cdp.BlockSize}))
			if err != nil || v != admission.Accept {
				t.Fatal(v, why, err)
			}
			b, err := g.Prepare([]frame.Frame{f})
			if err != nil {
				t.Fatal(err)
			}
			if flags == frame.Consistent {
				fuse.Light(2, false) // the frame is stored, and the seed's end is not
			}
			if _, err = b.Commit(); (err != nil) != (flags == frame.Consistent) {
				t.Fatal(err)
			}
		}
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for g.State().Base < 3 {
					g.Raise(ctx, 3) // fails until the journal has recovered
				}
			})
		}
		fuse.Mend()
		err = g.Recover(ctx)
		wg.Wait()
		if err != nil || s.saved.Load() != 0 || g.State().Straight {
			t.Fatalf("%v; floors were saved %d times; %+v", err, s.saved.Load(), g.State())
		}
		g.Close()
	}
}
