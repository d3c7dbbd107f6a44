package capture

import (
	"context"
	"os"
	"testing"

	"tidemark.dev/pkg/cdp"
)

// A group's first pass was killed after its snapshot. Nothing of the group is
// forgotten before the snapshot is removed, and then all of it is.
func TestAGroupIsForgottenWithItsSnapshot(t *testing.T) {
	f, _ := cycleWorld(t)
	f.v.disks[0] = f.v.disks[0][:1<<20] // so it is of no use
	f.up()
	f.eventually("a snapshot that stays", func() (ok bool) {
		f.v.faults(func() {
			if ok = len(f.v.snaps) == 1; ok {
				f.v.noThaw = transient
			}
		})
		return ok
	})
	f.crash()
	f.deps.Snapshots = &host{vm: f.v}
	s, err := NewGroups(f.cfg, f.deps)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Purge(context.Background(), "shop", ""); !cdp.Is(err, cdp.Transient) {
			t.Fatalf("purged while the snapshot stays: %v", err)
		}
	}
	f.v.faults(func() { f.v.noThaw = nil })
	if err := s.Purge(context.Background(), "shop", ""); err != nil || f.left() != 0 {
		t.Fatalf("%d snapshots are left: %v", f.left(), err)
	}
	for _, dir := range []string{f.cfg.StateDir, f.cfg.WindowDir} {
		if left, _ := os.ReadDir(dir); len(left) != 0 {
			t.Errorf("purged, and %v is left", left)
		}
	}
	close(f.stop)
}
