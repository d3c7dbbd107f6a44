package dirty

import (
	"math/rand/v2"
	"path/filepath"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/seedtest"
)

// The runs that NextBut gives are the table's dirty regions without those of
// the set, each once and in order; ClearBut clears these and no others.
func TestASetOfRegionsIsLeftOut(t *testing.T) {
	rng := rand.New(rand.NewPCG(seedtest.Seed(t), 2))
	m := mustOpen(t, filepath.Join(t.TempDir(), "m"), "b", Fresh)
	for range 200 {
		m.Clear(0, 0, m.Disks()[0].Size)
		m.Clear(1, 0, m.Disks()[1].Size)
		dirty, out, all := [301]bool{}, [301]bool{}, NewRegions(m.Disks())
		var but *Regions
		if rng.IntN(5) > 0 {
			but = NewRegions(m.Disks())
		}
		for range rng.IntN(30) {
			from := rng.IntN(301)
			to := min(301, from+1+rng.IntN(20))
			set := rng.IntN(2) == 0
			for i := from; i < to; i++ {
				if set {
					dirty[i] = true
				} else if but != nil {
					out[i] = true
				}
			}
			off, n := int64(from)*RegionSize, min(int64(to)*RegionSize, m.Disks()[0].Size)-int64(from)*RegionSize
			if set {
				all.Set(0, off, n)
			} else if but != nil {
				but.Set(0, off, n)
			}
		}
		m.SetRegions(all)
		check := func(want func(i int) bool, but *Regions) {
			t.Helper()
			got := [301]bool{}
			for off := int64(0); ; {
				start, n, ok := m.NextBut(0, off, int64(1+rng.IntN(40))*RegionSize, but)
				if !ok {
					break
				}
				if start < off || n <= 0 {
					t.Fatalf("run %d+%d behind %d", start, n, off)
				}
				for i := start / RegionSize; i*RegionSize < start+n; i++ {
					got[i] = true
				}
				off = start + n
			}
			for i := range got {
				if got[i] != want(i) {
					t.Fatalf("region %d: %t, dirty %t, out %t", i, got[i], dirty[i], out[i])
				}
			}
		}
		check(func(i int) bool { return dirty[i] && !out[i] }, but)
		from := int64(rng.IntN(301))
		m.ClearBut(0, from*RegionSize, m.Disks()[0].Size-from*RegionSize, but)
		check(func(i int) bool { return dirty[i] && (out[i] || int64(i) < from) }, nil)
	}
	if err := m.Sync(); err != nil {
		t.Fatal(err)
	}
	var none *Regions
	if in, until := none.At(cdp.DiskID(0), 512, 1024); in || until != 1024 {
		t.Fatal("nothing holds something")
	}
}
