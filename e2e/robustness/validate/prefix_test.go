package validate

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"tidemark.dev/e2e/robustness/traffic"
)

var seedFlag = flag.Uint64("seed", 0, "seed of the run; 0: a new one")

func seedOf(t *testing.T) uint64 {
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("replay with: go test ./e2e/robustness/validate -run %s -seed %d", t.Name(), seed)
	return seed
}

// life is a simulated run: writes with times, in an order that fits them, and
// points along the way.
type life struct {
	run    uint64
	sizes  []int64
	writes []traffic.Write
	order  []uint64 // numbers, as they took effect
	points []cut
}

// cut is a point: after so many writes of the order, at a time.
type cut struct {
	after int
	at    int64
}

func newLife(rng *rand.Rand) *life {
	l := &life{run: rng.Uint64(), sizes: []int64{96 * traffic.Sector, 64 * traffic.Sector}}
	now := int64(0)
	tick := func() int64 { now++; return now }
	open := map[uint64]bool{} // issued, without effect
	done := map[uint64]bool{} // with effect, without answer
	for len(l.order) < 300 {
		switch rng.IntN(7) {
		case 0, 1:
			if len(open)+len(done) >= 5 {
				continue
			}
			d := rng.IntN(2)
			n := int64(1 + rng.IntN(12))
			off := rng.Int64N(l.sizes[d]/traffic.Sector-n+1) * traffic.Sector
			w := traffic.Write{N: uint64(len(l.writes) + 1), Disk: d, Off: off, Len: int(n * traffic.Sector), Zero: rng.IntN(12) == 0, Issued: tick(), Acked: traffic.Never}
			l.writes = append(l.writes, w)
			open[w.N] = true
		case 2, 3:
			if n, ok := any1(rng, open); ok {
				delete(open, n)
				done[n] = true
				tick()
				l.order = append(l.order, n)
			}
		case 4, 5:
			if n, ok := any1(rng, done); ok {
				delete(done, n)
				if rng.IntN(20) > 0 { // else it stays in doubt
					l.writes[n-1].Acked = tick()
				}
			}
		case 6:
			if rng.IntN(6) == 0 {
				l.points = append(l.points, cut{len(l.order), tick()})
			}
		}
	}
	l.points = append(l.points, cut{len(l.order), tick()})
	return l
}

func any1(rng *rand.Rand, m map[uint64]bool) (uint64, bool) {
	var ns []uint64
	for n := range m {
		ns = append(ns, n)
	}
	if len(ns) == 0 {
		return 0, false
	}
	slices.Sort(ns)
	return ns[rng.IntN(len(ns))], true
}

// image is what the writes of order make.
func (l *life) image(order []uint64) (out [][]byte) {
	for _, size := range l.sizes {
		out = append(out, make([]byte, size))
	}
	for _, n := range order {
		w := l.writes[n-1]
		p := out[w.Disk][w.Off : w.Off+int64(w.Len)]
		clear(p)
		if !w.Zero {
			traffic.Stamp(p, l.run, w.N, w.Disk, w.Off)
		}
	}
	return out
}

func (l *life) point(i int, order []uint64) Point {
	c := l.points[i]
	return Point{Name: fmt.Sprint("p", i), Disks: l.image(order), Must: c.at, Until: c.at}
}

// check checks all points up to the last, of which the order is given.
func (l *life) check(last int, order []uint64) (bad []string) {
	h := New(l.run, l.writes, l.sizes)
	for i := range last {
		bad = append(bad, h.Check(l.point(i, l.order[:l.points[i].after]))...)
	}
	return append(bad, h.Check(l.point(last, order))...)
}

func TestWhatHappenedIsAllowed(t *testing.T) {
	rng := rand.New(rand.NewPCG(seedOf(t), 1))
	for range 40 {
		l := newLife(rng)
		if bad := l.check(len(l.points)-1, l.order); bad != nil {
			t.Fatalf("%q", bad)
		}
	}
}

// The control: whatever is done to a point is found, each time.
func TestWhatDidNotHappenIsFound(t *testing.T) {
	rng := rand.New(rand.NewPCG(seedOf(t), 2))
	found := map[string]int{}
	for range 25 {
		l := newLife(rng)
		last := len(l.points) - 1
		right := l.image(l.order)
		try := func(what string, p Point) {
			h := New(l.run, l.writes, l.sizes)
			for i := range last {
				h.Check(l.point(i, l.order[:l.points[i].after]))
			}
			if h.Check(p) == nil {
				t.Fatalf("%s was not found", what)
			}
			found[what]++
		}
		// An answered write is lost.
		for _, i := range rng.Perm(len(l.order)) {
			w := l.writes[l.order[i]-1]
			if w.Acked == traffic.Never || w.Zero || !seen(right, l, w) {
				continue
			}
			if p := l.point(last, slices.Delete(slices.Clone(l.order), i, i+1)); !explained(l, p.Disks, w) {
				try("a lost write", p)
				break
			}
		}
		// All after a moment is lost.
		if n := len(l.order) - 30; true {
			try("a lost tail", l.point(last, l.order[:n]))
		}
		// One disk is older than the other.
		p := l.point(last, l.order)
		p.Disks[1] = l.image(l.order[:len(l.order)-60])[1]
		if !equal(p.Disks, right) {
			try("a disk that is behind", p)
		}
		// A bit is wrong; a sector is elsewhere.
		p = l.point(last, l.order)
		p.Disks[0][rng.IntN(len(p.Disks[0]))] ^= 1 << rng.IntN(8)
		try("a bit", p)
		p = l.point(last, l.order)
		a, b := p.Disks[0][:traffic.Sector], p.Disks[0][traffic.Sector:2*traffic.Sector]
		if !slices.Equal(a, b) {
			copy(b, slices.Clone(a))
			if n, _ := traffic.Read(a, l.run, 0, 0); n > 0 {
				try("a misplaced sector", p)
			}
		}
		// The point is older than it says.
		p = l.point(last, l.order)
		p.Until = l.points[last].at / 2
		try("the future", p)
	}
	t.Logf("found: %v", found)
	for _, what := range []string{"a lost write", "a lost tail", "a disk that is behind", "a bit", "a misplaced sector", "the future"} {
		if found[what] < 10 {
			t.Errorf("%s was tried %d times only", what, found[what])
		}
	}
}

// seen: a sector shows the write.
func seen(disks [][]byte, l *life, w traffic.Write) bool {
	for off := w.Off; off < w.Off+int64(w.Len); off += traffic.Sector {
		if n, _ := traffic.Read(disks[w.Disk][off:off+traffic.Sector], l.run, w.Disk, off); n == w.N {
			return true
		}
	}
	return false
}

// explained: where w is gone only writes show that ran beside it, so that the
// record allows either order; or zeros that did.
func explained(l *life, disks [][]byte, w traffic.Write) bool {
	for off := w.Off; off < w.Off+int64(w.Len); off += traffic.Sector {
		n, _ := traffic.Read(disks[w.Disk][off:off+traffic.Sector], l.run, w.Disk, off)
		if n == w.N || n > 0 && !l.writes[n-1].Before(w) {
			continue
		}
		if n == 0 && slices.ContainsFunc(l.writes, func(z traffic.Write) bool {
			return z.Zero && z.Disk == w.Disk && z.Off <= off && off < z.Off+int64(z.Len) && !z.Before(w)
		}) {
			continue
		}
		return false
	}
	return true
}

func equal(a, b [][]byte) bool { return slices.EqualFunc(a, b, slices.Equal[[]byte]) }
