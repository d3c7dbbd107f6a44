package dirty

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"tidemark.dev/pkg/cdp"
)

// Disks grow, and one is added: the map keeps what it says, and what is new is dirty.
func TestTheMapGrowsWithItsDisks(t *testing.T) {
	for _, clean := range []bool{true, false} {
		path := filepath.Join(t.TempDir(), "m")
		m := mustOpen(t, path, "b", Fresh)
		m.Seeded()
		for _, d := range m.Disks() {
			m.Clear(d.ID, 0, d.Size)
		}
		m.Set(0, 7*RegionSize, RegionSize)
		m.Touch(1, 5*RegionSize, RegionSize)
		m.SetMark(Mark{No: 77, Valid: true})
		m.Begin(3, 0, 9*RegionSize, 1)
		if clean {
			m.End(3)
		}
		if err := m.Close(clean); err != nil {
			t.Fatal(err)
		}
		id := identity("b")
		id.Disks = append(slices.Clone(id.Disks), cdp.Disk{ID: 2, Name: "new", Size: 2 * RegionSize})
		id.Disks[0].Size = 40_000 * RegionSize // more than a page of bits
		m, found, err := Open(path, id)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close(false)
		want := map[bool]Found{true: Clean, false: Killed}[clean]
		if found != want || m.Mark().No != 77 || m.Seeding() {
			t.Fatalf("found %v, want %v; mark %+v, seeding %v", found, want, m.Mark(), m.Seeding())
		}
		dirty := int64(1 + (40_000 - 300) + 2) // the region with the old end, too
		if !clean {
			dirty++
		}
		if m.Count() != dirty {
			t.Errorf("%d regions are dirty, want %d", m.Count(), dirty)
		}
		if in, until := m.At(0, 300*RegionSize, id.Disks[0].Size); !in || until != id.Disks[0].Size {
			t.Errorf("what is new is dirty up to %d: %v", until, in)
		}
		m.Lose()
		if in, _ := m.At(1, 5*RegionSize, 6*RegionSize); !in {
			t.Error("the activity is lost")
		}
	}
}

// A map of disks that shrank, or of others, says nothing.
func TestTheMapOfOtherDisksIsFresh(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m")
	m := mustOpen(t, path, "b", Fresh)
	if err := m.Close(true); err != nil {
		t.Fatal(err)
	}
	id := identity("b")
	id.Disks = []cdp.Disk{id.Disks[0], {ID: 1, Name: "sdb", Size: 2 * mib}}
	m, found, err := Open(path, id)
	if err != nil || found != Fresh {
		t.Fatal(found, err)
	}
	if err := m.Close(true); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 100); err != nil {
		t.Fatal(err)
	}
	if m, found, err = Open(path, id); err != nil || found != Fresh {
		t.Fatal(found, err)
	}
	m.Close(false)
}
