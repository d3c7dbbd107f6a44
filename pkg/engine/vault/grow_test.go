package vault_test

import (
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/engine/vault"
	"tidemark.dev/pkg/engine/vault/vaulttest"
)

// ingest has the journal take what it does not have, from disks that may have grown.
func (l *oneLife) ingest() error {
	if l.grows && int(l.g.Stored().No) == len(l.m.Frames) && l.rng.IntN(6) == 0 {
		l.m.Grow(l.rng)
	}
	return ingest(l.g, l.m, l.rng, &l.acked, l.seeds, l.lossy, func() error {
		l.w.replica().Grow(l.m.Disks)
		return l.g.Grow(l.m.Disks)
	})
}

// Disks neither shrink nor go nor change their order: older points need them.
func TestDisksOnlyGrow(t *testing.T) {
	disks := []cdp.Disk{{ID: 0, Name: "a", Size: 8192}, {ID: 1, Name: "b", Size: 4096}}
	r := vaulttest.NewMemReplica(disks)
	g, err := vault.Open(t.Context(), disks, vaulttest.NewMemStore(), r, vault.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	for what, bad := range map[string][]cdp.Disk{
		"a disk that goes":    disks[:1],
		"a disk that shrinks": {{ID: 0, Name: "a", Size: 4096}, disks[1]},
		"disks that swap":     {{ID: 0, Name: "b", Size: 8192}, {ID: 1, Name: "a", Size: 8192}},
	} {
		if err := g.Grow(bad); !cdp.Is(err, cdp.Conflict) {
			t.Errorf("%s: %v", what, err)
		}
	}
	m := vaulttest.NewModel(append(disks, cdp.Disk{ID: 2, Name: "c", Size: 4096}))
	raw := m.Frame(frame.Consistent|frame.ExtentStart, 1, 1, vaulttest.ModelWrite{Disk: 2, Len: 512})
	if _, _, _, err := g.Offer(raw); !cdp.Is(err, cdp.Corrupt) {
		t.Fatalf("a frame for a disk that the group does not have: %v", err)
	}
	r.Grow(m.Disks)
	if err := g.Grow(m.Disks); err != nil {
		t.Fatal(err)
	}
	if _, v, why, err := g.Offer(raw); err != nil {
		t.Fatal(v, why, err)
	}
}
