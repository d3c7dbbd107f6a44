package capture

import (
	"math/rand/v2"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/seedtest"
)

// What was not touched is what a plain table of sectors says, in order and in
// one piece each, and the memory stays within its bound.
func TestUntouchedSectorsAreSent(t *testing.T) {
	const sectors = 5*sectorsPerMib + 100
	rng := rand.New(rand.NewPCG(seedtest.Seed(t), 17))
	for range 300 {
		tt := newTouched(1 + rng.IntN(7))
		var model [2][sectors]bool
		for range rng.IntN(40) {
			d, from := rng.IntN(2), rng.IntN(sectors)
			n := 1 + rng.IntN(min(sectors-from, 1+rng.IntN(3*sectorsPerMib)))
			if tt.note(cdp.DiskID(d), int64(from)*512, int64(n)*512) {
				for i := from; i < from+n; i++ {
					model[d][i] = true
				}
				continue
			}
			for i := range sectors { // some of it may be noted
				model[d][i] = true
				tt.rest(cdp.DiskID(d), int64(i)*512, int64(i+1)*512, func(int64, int64) bool { model[d][i] = false; return true })
			}
		}
		if len(tt.mib) > tt.most {
			t.Fatalf("%d entries, at most %d", len(tt.mib), tt.most)
		}
		d, from := rng.IntN(2), rng.IntN(sectors)
		to := from + 1 + rng.IntN(sectors-from)
		var got [sectors]bool
		last := int64(from)*512 - 1
		tt.rest(cdp.DiskID(d), int64(from)*512, int64(to)*512, func(off, end int64) bool {
			if off <= last || end <= off {
				t.Fatalf("%d..%d after %d", off, end, last)
			}
			last = end // the next one may not even begin there
			for i := off / 512; i < end/512; i++ {
				got[i] = true
			}
			return true
		})
		for i := from; i < to; i++ {
			if got[i] == model[d][i] {
				t.Fatalf("disk %d sector %d: sent %t, touched %t", d, i, got[i], model[d][i])
			}
		}
		tt.forget(cdp.DiskID(d), 0, sectors*512)
		for k := range tt.mib {
			if int(k.disk) == d && k.mib < 5 {
				t.Fatalf("MiB %d is not forgotten", k.mib)
			}
		}
	}
}
