package dirty

import (
	"math/rand/v2"
	"path/filepath"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/seedtest"
)

const mib = 1 << 20

func identity(boot string) Identity {
	return Identity{Group: "shop", Boot: boot, Disks: []cdp.Disk{
		{ID: 0, Name: "sda", Size: 300*RegionSize + 512}, {ID: 1, Name: "sdb", Size: 3 * mib},
	}}
}

func mustOpen(t testing.TB, path, boot string, want Found) *Map {
	t.Helper()
	m, found, err := Open(path, identity(boot))
	if err != nil {
		t.Fatal(err)
	}
	if found != want {
		t.Fatalf("found %v, want %v", found, want)
	}
	t.Cleanup(func() { m.Close(false) })
	return m
}

// Whatever is set and cleared, through any number of kills, the map says what a
// plain table says.
func TestTheMapIsAPlainTable(t *testing.T) {
	rng := rand.New(rand.NewPCG(seedtest.Seed(t), 1))
	path := filepath.Join(t.TempDir(), "m")
	m := mustOpen(t, path, "b", Fresh)
	model := map[cdp.DiskID][]bool{0: make([]bool, 301), 1: make([]bool, 48)}
	for _, bs := range model {
		for i := range bs {
			bs[i] = true
		}
	}
	for step := range 20_000 {
		d := cdp.DiskID(rng.IntN(2))
		bs, size := model[d], m.Disks()[d].Size
		from := rng.Int64N(int64(len(bs)))
		to := min(int64(len(bs)), from+1+rng.Int64N(90))
		off, end := from*RegionSize, min(to*RegionSize, size)
		switch rng.IntN(5) {
		case 0:
			m.Set(d, off, end-off)
			for i := from; i < to; i++ {
				bs[i] = true
			}
		case 1:
			m.Clear(d, off, end-off)
			for i := from; i < to; i++ {
				bs[i] = false
			}
		case 2:
			dirty, until := m.At(d, off, end)
			i := from
			for i < to && bs[i] == bs[from] {
				i++
			}
			if dirty != bs[from] || until != min(end, i*RegionSize) {
				t.Fatalf("step %d: At %v until %d", step, dirty, until)
			}
		case 3:
			start, n, ok := m.Next(d, off, 4*RegionSize)
			i := from
			for i < int64(len(bs)) && !bs[i] {
				i++
			}
			if ok != (i < int64(len(bs))) {
				t.Fatalf("step %d: Next ok %v", step, ok)
			}
			if ok {
				j := i
				for j < int64(len(bs)) && j < i+4 && bs[j] {
					j++
				}
				if start != i*RegionSize || n != min(j*RegionSize, size)-start {
					t.Fatalf("step %d: Next %d+%d, want regions %d..%d", step, start, n, i, j)
				}
			}
		case 4:
			if rng.IntN(50) == 0 {
				m.unmap()
				m = mustOpen(t, path, "b", Killed)
			}
		}
		n := int64(0)
		for _, bs := range model {
			for _, b := range bs {
				if b {
					n++
				}
			}
		}
		if m.Count() != n {
			t.Fatalf("step %d: count %d, want %d", step, m.Count(), n)
		}
	}
}

func TestHowItEndedDecidesWhatIsDirty(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m")
	m := mustOpen(t, path, "b1", Fresh)
	if m.Count() != 349 || !m.Seeding() {
		t.Fatalf("fresh: %d regions dirty", m.Count())
	}
	m.Clear(0, 0, m.Disks()[0].Size)
	m.Clear(1, 0, m.Disks()[1].Size)
	m.Seeded()
	m.Set(1, mib, 1)
	m.Begin(7, 0, RegionSize-1, 2)
	m.SetMark(Mark{No: 9, Valid: true})
	m.unmap() // kill -9

	m = mustOpen(t, path, "b1", Killed)
	if m.Count() != 3 || m.Mark().No != 9 {
		t.Fatalf("killed: %d regions dirty, mark %+v", m.Count(), m.Mark())
	}
	if err := m.Close(true); err != nil {
		t.Fatal(err)
	}
	m = mustOpen(t, path, "b2", Clean) // a reboot after a clean end
	if m.Count() != 3 {
		t.Fatalf("clean: %d regions dirty", m.Count())
	}
	m.unmap() // power loss

	m = mustOpen(t, path, "b3", Rebooted)
	if m.Count() != 349 || m.Mark().Valid {
		t.Fatalf("rebooted: %d regions dirty", m.Count())
	}
	m.Narrow()
	m.Set(0, 0, 1)
	m.unmap() // killed while only the allocated part was being found

	m = mustOpen(t, path, "b3", Killed)
	if m.Count() != 349 {
		t.Fatalf("killed while narrowing: %d regions dirty", m.Count())
	}
	m.Close(true)
	id := identity("b3")
	id.Disks[1].Size += mib
	m, found, err := Open(path, id)
	if err != nil || found != Clean || m.Count() != 349+16 {
		t.Fatalf("a grown disk: %v, %v", found, err)
	}
	m.Close(true)
}

// A region touched by a frame that is not durable is never forgotten, however
// the generations turn.
func TestActivityCoversWhatIsNotDurable(t *testing.T) {
	rng := rand.New(rand.NewPCG(seedtest.Seed(t), 2))
	m := mustOpen(t, filepath.Join(t.TempDir(), "m"), "b", Fresh)
	m.Clear(0, 0, m.Disks()[0].Size)
	m.Clear(1, 0, m.Disks()[1].Size)
	var touched []int64 // by frame
	durable, olderLast := 0, 0
	for step := range 5000 {
		switch rng.IntN(4) {
		case 0, 1:
			r := rng.Int64N(300)
			m.Touch(0, r*RegionSize, 1)
			touched = append(touched, r)
		case 2:
			durable += rng.IntN(len(touched) - durable + 1)
			if durable >= olderLast {
				m.ClearOlder()
				m.Swap()
				olderLast = len(touched)
			}
		case 3:
			if rng.IntN(10) == 0 {
				m.Merge()
				olderLast = len(touched)
			}
			if rng.IntN(20) != 0 {
				continue
			}
			m.Lose()
			for _, r := range touched[durable:] {
				if d, _ := m.At(0, r*RegionSize, r*RegionSize+1); !d {
					t.Fatalf("step %d: region %d is forgotten", step, r)
				}
			}
			m.Clear(0, 0, m.Disks()[0].Size)
			durable, olderLast = len(touched), 0
		}
	}
}

func BenchmarkTouch(b *testing.B) {
	m := mustOpen(b, filepath.Join(b.TempDir(), "m"), "b", Fresh)
	for i := 0; b.Loop(); i++ {
		m.Touch(0, int64(i%300)*RegionSize, 4096)
	}
}
