package vault_test

import (
	"context"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/engine/vault"
	"tidemark.dev/pkg/engine/vault/vaulttest"
)

// hookedStore calls opened, if it is set, after each Reader was opened.
type hookedStore struct {
	vault.Store
	opened func()
}

func (s *hookedStore) Reader() (vault.Reader, error) {
	r, err := s.Store.Reader()
	if s.opened != nil {
		s.opened()
	}
	return r, err
}

// The index in memory is written to the store while Lower looks for floors that
// are not needed any more: the floor of a block that still has a write below base
// is kept, so that horizon reads as before.
func TestLowerKeepsFloorsWhileTheIndexIsWritten(t *testing.T) {
	ctx := context.Background()
	disks := []cdp.Disk{{ID: 0, Name: "a", Size: cdp.RegionSize}}
	s, r := &hookedStore{Store: vaulttest.NewMemStore()}, vaulttest.NewMemReplica(disks)
	g, err := vault.Open(ctx, disks, s, r, vault.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	m := vaulttest.NewModel(disks)
	for i := range 3 {
		flags := frame.Consistent
		if i == 0 {
			flags |= frame.ExtentStart | frame.Marker
		}
		f, err := frame.Parse(m.Frame(flags, 1, int64(i+1)*1e9, vaulttest.ModelWrite{Len: cdp.BlockSize}))
		if err != nil {
			t.Fatal(err)
		}
		store(t, g, f)
	}
	if err := g.Raise(ctx, 3); err != nil {
		t.Fatal(err)
	}
	r.Before = func(what string) error { // base is to move next, and then floors are dropped
		if what == "replica sync" {
			s.opened = func() {
				s.opened = nil
				if err := g.DeletePoint(1); err != nil { // writes the index
					t.Error(err)
				}
			}
		}
		return nil
	}
	if err := g.Lower(ctx, 2); err != nil {
		t.Fatal(err)
	}
	for at := range cdp.Seq(4) {
		v, err := g.View(at)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Check(at, v.ReadAt); err != nil {
			t.Errorf("at write %d: %v", at, err)
		}
		v.Close()
	}
}
