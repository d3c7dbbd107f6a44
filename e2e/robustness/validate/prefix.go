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

// maxReported is how many violations of one point are reported.
const maxReported = 8

// Check checks one point, and gives its violations; none is right.
func (h *History) Check(p Point) []string {
	c := h.look(p)
	if c.bad != nil {
		return c.bad
	}
	c.setLine()
	for d := range c.seen {
		for s := range c.seen[d] {
			c.sector(d, s)
		}
	}
	for x := range c.over {
		if x[0] < x[1] && c.over[[2]uint64{x[1], x[0]}] {
			c.say("%v and %v are torn: each lies over the other", h.writes[x[0]-1], h.writes[x[1]-1])
		}
	}
	for n := range c.visible {
		h.carried[n] = true
	}
	h.shown, h.last, h.needed = c.seen, p.Name, c.until
	return c.bad
}

// check is the state of checking one point.
type check struct {
	*History
	p       Point
	seen    [][]uint64 // which write each sector shows, by disk; 0 is none
	visible map[uint64]bool
	until   int64              // everything answered before this is needed
	why     string             // what was issued then
	over    map[[2]uint64]bool // {a, b}: somewhere b must have come after a
	bad     []string
}

func (c *check) say(format string, args ...any) {
	if len(c.bad) < maxReported {
		c.bad = append(c.bad, c.p.Name+": "+fmt.Sprintf(format, args...))
	}
}

// look finds out which write each sector shows.
func (h *History) look(p Point) *check {
	c := &check{History: h, p: p, seen: make([][]uint64, len(h.sizes)), visible: map[uint64]bool{}, over: map[[2]uint64]bool{}}
	for d, size := range h.sizes {
		if int64(len(p.Disks[d])) != size {
			c.say("disk %d has %d bytes, not %d", d, len(p.Disks[d]), size)
			return c
		}
		c.seen[d] = make([]uint64, size/traffic.Sector)
		for s := range c.seen[d] {
			off := int64(s) * traffic.Sector
			n, err := traffic.Read(p.Disks[d][off:off+traffic.Sector], h.run, d, off)
			switch {
			case err != nil:
				c.say("disk %d, sector %d: %v", d, s, err)
			case n > uint64(len(h.writes)):
				c.say("disk %d, sector %d: write %d was never issued", d, s, n)
			case n > 0 && !covers(h.writes[n-1], d, off):
				c.say("disk %d, sector %d: %v was not made here", d, s, h.writes[n-1])
			default:
				c.seen[d][s] = n
				if n > 0 {
					c.visible[n] = true
				}
			}
		}
	}
	return c
}

// setLine finds the moment before which everything answered is needed: that of the
// marker, or of the latest write that is there.
func (c *check) setLine() {
	c.until, c.why = max(c.p.Must, c.needed), "the marker was asked for"
	for n := range c.visible {
		w := c.writes[n-1]
		if w.Issued > c.p.Until {
			c.say("%v is from the future: issued %.3f s after the point", w, float64(w.Issued-c.p.Until)/1e9)
		}
		if w.Issued > c.until {
			c.until, c.why = w.Issued, w.String()+", which is there, was issued"
		}
	}
}

func (c *check) isNeeded(w *traffic.Write) bool {
	return w.Acked < c.until || c.visible[w.N] || c.carried[w.N]
}

func (c *check) reason(w *traffic.Write) string {
	switch {
	case c.visible[w.N]:
		return "it is there in part"
	case c.carried[w.N]:
		return "it was in " + c.last + " or before"
	}
	return "it was answered before " + c.why
}

// sector checks that no needed write is missing from what a sector shows.
func (c *check) sector(d, s int) {
	n, at := c.seen[d][s], c.byPlace[d][s]
	if n == 0 {
		if w := missingUnderZeros(at, c.isNeeded); w != nil {
			c.say("disk %d, sector %d is zero, and %v is lost: %s", d, s, w, c.reason(w))
		}
		return
	}
	v := &c.writes[n-1]
	for _, w := range at {
		if w == v || !c.isNeeded(w) || w.Before(*v) {
			continue
		}
		if v.Before(*w) {
			// A write in doubt may be on the disk in part.
			if w.Acked == traffic.Never && !c.showedHere(d, s, w) {
				continue
			}
			c.say("disk %d, sector %d shows %v, and the later %v is lost: %s", d, s, v, w, c.reason(w))
			break
		}
		if w.Acked != traffic.Never && v.Acked != traffic.Never {
			c.over[[2]uint64{w.N, v.N}] = true
		}
	}
	if o := c.shown[d][s]; o > 0 && v.Before(c.writes[o-1]) {
		c.say("disk %d, sector %d shows %v, and %s had %v already", d, s, v, c.last, c.writes[o-1])
	}
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
