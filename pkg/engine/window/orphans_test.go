package window

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// Windows of an installation whose directory is gone are removed. Those of one that
// exists, that are open, that nobody claimed, or that lie beside something unknown
// stay.
func TestOnlyTheWindowsOfARemovedInstallationAreRemoved(t *testing.T) {
	root, there := t.TempDir(), t.TempDir()
	gone := filepath.Join(t.TempDir(), "gone")
	claimed := func(name, owner string) (dir string, w *Window) {
		dir = filepath.Join(root, name)
		if owner != "" {
			if err := Claim(dir, owner); err != nil {
				t.Fatal(err)
			}
		}
		return dir, mustOpen(t, filepath.Join(dir, "shop.window"), id, 4, false)
	}
	dead, w := claimed("dead", gone)
	w.Close()
	_, w = claimed("alive", there)
	w.Close()
	_, w = claimed("unclaimed", "")
	w.Close()
	beside, w := claimed("beside", gone)
	w.Close()
	if err := os.WriteFile(filepath.Join(beside, "notes"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	open, w := claimed("open", gone)
	removed, err := RemoveOrphans(root)
	if err != nil || !slices.Equal(removed, []string{dead}) {
		t.Fatalf("removed %v, %v", removed, err)
	}
	w.Close()
	if removed, err = RemoveOrphans(root); err != nil || !slices.Equal(removed, []string{open}) {
		t.Fatalf("removed %v, %v", removed, err)
	}
	left, err := os.ReadDir(root)
	if err != nil || len(left) != 3 {
		t.Fatalf("%v are left, %v", left, err)
	}
	if removed, err := RemoveOrphans(gone); err != nil || removed != nil {
		t.Fatalf("of no directory: %v, %v", removed, err)
	}
}
