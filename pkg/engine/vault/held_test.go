package vault_test

import (
	"context"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/engine/vault"
	"tidemark.dev/pkg/engine/vault/vaulttest"
)

// Whoever asks: horizon does not pass what is held, by a move or by a merge, and the
// journal is not sealed. What is not held goes.
func TestHorizonDoesNotPassWhatIsHeld(t *testing.T) {
	ctx := context.Background()
	disks := []cdp.Disk{{ID: 0, Name: "a", Size: cdp.RegionSize}}
	why := cdp.Errorf(cdp.Conflict, "check retention lock", "g", "held")
	held := func(ps []cdp.Point) (cdp.Seq, error) {
		if len(ps) == 0 {
			return 0, nil
		}
		return 2, why
	}
	g, err := vault.Open(ctx, disks, vaulttest.NewMemStore(), vaulttest.NewMemReplica(disks), vault.Config{Held: held})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	m := vaulttest.NewModel(disks)
	for i := range 4 {
		flags := frame.Consistent | frame.Marker
		if i == 0 {
			flags |= frame.ExtentStart
		}
		f, err := frame.Parse(m.Frame(flags, 1, int64(i+1)*1e9, vaulttest.ModelWrite{Len: cdp.BlockSize}))
		if err != nil {
			t.Fatal(err)
		}
		store(t, g, f)
	}
	if err := g.Merge(ctx, 3); !cdp.Is(err, cdp.Conflict) {
		t.Errorf("merged: %v", err)
	}
	if err := g.Raise(ctx, 4); err != nil {
		t.Fatal(err)
	}
	if err := g.Retain(ctx, 3); !cdp.Is(err, cdp.Conflict) {
		t.Errorf("dropped: %v", err)
	}
	if err := g.Retain(ctx, 2); err != nil || g.Bounds().Horizon != 2 {
		t.Errorf("%v, %v", g.Bounds(), err)
	}
	if err := g.Halt("r1", true); err != nil {
		t.Fatal(err)
	}
	if err := g.Seal(ctx); !cdp.Is(err, cdp.Conflict) || g.State().Sealed {
		t.Errorf("sealed: %v", err)
	}
}
