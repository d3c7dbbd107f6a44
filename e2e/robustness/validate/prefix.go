package validate

import (
	"fmt"
	"slices"
	"sort"

	"tidemark.dev/e2e/robustness/traffic"
)

// History checks points of one run, oldest first.
type History struct {
	run    uint64
	writes []traffic.Write
	// byPlace are the writes of each sector, by time of issue.
	byPlace [][][]*traffic.Write
	sizes   []int64

	carried map[uint64]bool // writes that earlier points have shown
	shown   [][]uint64      // what the point before showed, by disk and sector
	last    string
	needed  int64 // everything answered before is in the points before
}

// New prepares the checks of disks of these sizes against a record.
func New(run uint64, writes []traffic.Write, sizes []int64) *History {
	h := &History{run: run, writes: slices.Clone(writes), sizes: sizes, carried: map[uint64]bool{}}
	for _, size := range sizes {
		h.byPlace = append(h.byPlace, make([][]*traffic.Write, size/traffic.Sector))
		h.shown = append(h.shown, make([]uint64, size/traffic.Sector))
	}
	order := make([]*traffic.Write, len(h.writes))
	for i := range h.writes {
		order[i] = &h.writes[i]
	}
	sort.SliceStable(order, func(i, j int) bool { return order[i].Issued < order[j].Issued })
	for _, w := range order {
		for s := w.Off / traffic.Sector; s < (w.Off+int64(w.Len))/traffic.Sector; s++ {
			h.byPlace[w.Disk][s] = append(h.byPlace[w.Disk][s], w)
		}
	}
	return h
}

// Point is what was read of a point, and what is known of its making.
type Point struct {
	Name  string
	Disks [][]byte
	// Must: every write answered before is in it. Until: no write issued after is.
	Must, Until int64
}

// most is how many violations of one point are told.
const most = 8

// Check checks one point; nil is right.
func (h *History) Check(p Point) (bad []string) {
	say := func(format string, args ...any) {
		if len(bad) < most {
			bad = append(bad, p.Name+": "+fmt.Sprintf(format, args...))
		}
	}
	seen := make([][]uint64, len(h.sizes))
	visible := map[uint64]bool{}
	for d, size := range h.sizes {
		if int64(len(p.Disks[d])) != size {
			say("disk %d has %d bytes, not %d", d, len(p.Disks[d]), size)
			return bad
		}
		seen[d] = make([]uint64, size/traffic.Sector)
		for s := range seen[d] {
			off := int64(s) * traffic.Sector
			n, err := traffic.Read(p.Disks[d][off:off+traffic.Sector], h.run, d, off)
			switch {
			case err != nil:
				say("disk %d, sector %d: %v", d, s, err)
			case n > uint64(len(h.writes)):
				say("disk %d, sector %d: write %d was never issued", d, s, n)
			case n > 0 && !covers(h.writes[n-1], d, off):
				say("disk %d, sector %d: %v was not made here", d, s, h.writes[n-1])
			default:
				seen[d][s] = n
				if n > 0 {
					visible[n] = true
				}
			}
		}
	}
	if bad != nil {
		return bad
	}
	// Everything answered before this is needed.
	until := max(p.Must, h.needed)
	why := "the marker was asked for"
	for n := range visible {
		w := h.writes[n-1]
		if w.Issued > p.Until {
			say("%v is from the future: issued %.3f s after the point", w, float64(w.Issued-p.Until)/1e9)
		}
		if w.Issued > until {
			until, why = w.Issued, w.String()+", which is there, was issued"
		}
	}
	needed := func(w *traffic.Write) bool { return w.Acked < until || visible[w.N] || h.carried[w.N] }
	reason := func(w *traffic.Write) string {
		switch {
		case visible[w.N]:
			return "it is there in part"
		case h.carried[w.N]:
			return "it was in " + h.last + " or before"
		}
		return "it was answered before " + why
	}
	over := map[[2]uint64]bool{} // {a, b}: somewhere b must have come after a
	for d := range seen {
		for s, n := range seen[d] {
			at := h.byPlace[d][s]
			if n == 0 {
				if w := missingUnderZeros(at, needed); w != nil {
					say("disk %d, sector %d is zero, and %v is lost: %s", d, s, w, reason(w))
				}
				continue
			}
			v := &h.writes[n-1]
			for _, w := range at {
				if w == v || !needed(w) || w.Before(*v) {
					continue
				}
				if v.Before(*w) {
					// A write in doubt may be on the disk in part.
					if w.Acked == traffic.Never && !h.showedHere(d, s, w) {
						continue
					}
					say("disk %d, sector %d shows %v, and %v behind it is lost: %s", d, s, v, w, reason(w))
					break
				}
				if w.Acked != traffic.Never && v.Acked != traffic.Never {
					over[[2]uint64{w.N, v.N}] = true
				}
			}
			if o := h.shown[d][s]; o > 0 && v.Before(h.writes[o-1]) {
				say("disk %d, sector %d shows %v, and %s had %v already", d, s, v, h.last, h.writes[o-1])
			}
		}
	}
	for x := range over {
		if x[0] < x[1] && over[[2]uint64{x[1], x[0]}] {
			say("%v and %v are torn: each lies over the other", h.writes[x[0]-1], h.writes[x[1]-1])
		}
	}
	for n := range visible {
		h.carried[n] = true
	}
	h.shown, h.last, h.needed = seen, p.Name, until
	return bad
}

// showedHere: w is known to have reached this sector by an earlier point.
func (h *History) showedHere(d, s int, w *traffic.Write) bool { return h.shown[d][s] == w.N }

func covers(w traffic.Write, disk int, off int64) bool {
	return !w.Zero && w.Disk == disk && w.Off <= off && off < w.Off+int64(w.Len)
}

// missingUnderZeros is a needed write that can be under no zeros of this
// sector: neither the disk's first nor any that were asked for.
func missingUnderZeros(at []*traffic.Write, needed func(*traffic.Write) bool) *traffic.Write {
	// The zeros that came last can be over the most.
	var z *traffic.Write
	for _, w := range at {
		if w.Zero && (z == nil || w.Acked > z.Acked) {
			z = w
		}
	}
	for _, w := range at {
		if w.Zero || !needed(w) || w.Acked == traffic.Never {
			continue
		}
		if z == nil || z.Before(*w) {
			return w
		}
	}
	return nil
}

// Same compares a point with the disks themselves, to the byte.
func Same(name string, got, want [][]byte) (bad []string) {
	for d := range want {
		if slices.Equal(got[d], want[d]) {
			continue
		}
		n, first := 0, -1
		for off := 0; off+traffic.Sector <= len(want[d]) && off+traffic.Sector <= len(got[d]); off += traffic.Sector {
			if !slices.Equal(got[d][off:off+traffic.Sector], want[d][off:off+traffic.Sector]) {
				n++
				if first < 0 {
					first = off / traffic.Sector
				}
			}
		}
		bad = append(bad, fmt.Sprintf("%s: disk %d differs from the source in %d sectors, the first is %d", name, d, n, first))
	}
	return bad
}
