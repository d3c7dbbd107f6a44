package dirty

import "tidemark.dev/pkg/cdp"

// Regions is a set of regions of a group's disks, in memory only: one bit each,
// 2 MiB for a disk of 1 TiB. It may be set and read from any goroutine, as a Map.
// A nil *Regions is empty.
type Regions struct {
	disks []cdp.Disk
	bits  []layer
}

// NewRegions is the empty set over these disks.
func NewRegions(disks []cdp.Disk) *Regions {
	r := &Regions{disks: disks}
	for _, d := range disks {
		r.bits = append(r.bits, make(layer, (regions(d.Size)+63)/64))
	}
	return r
}

// Set adds every region that the range touches.
func (r *Regions) Set(disk cdp.DiskID, off, n int64) {
	from, to := span(off, n)
	r.bits[disk].set(from, to)
}

// SetAll adds every region of every disk.
func (r *Regions) SetAll() {
	for _, d := range r.disks {
		r.Set(d.ID, 0, d.Size)
	}
}

// At reports whether the region of off is in the set, and where the run of
// regions alike ends: at most at end.
func (r *Regions) At(disk cdp.DiskID, off, end int64) (in bool, until int64) {
	if r == nil {
		return false, end
	}
	from, to := span(off, end-off)
	l := r.bits[disk]
	in = l.has(from)
	return in, min(end, l.next(from, to, !in)*RegionSize)
}

// SetRegions makes every region of r dirty.
func (m *Map) SetRegions(r *Regions) {
	if r == nil {
		return
	}
	for d, l := range r.bits {
		m.take(d, l)
	}
}

// take makes what is set in l dirty.
func (m *Map) take(d int, l layer) {
	end := regions(m.disks[d].Size)
	for from := l.next(0, end, true); from < end; {
		to := l.next(from, end, false)
		if c := m.dirty[d].set(from, to); c != 0 {
			m.count.Add(c)
		}
		from = l.next(to, end, true)
	}
}

// NextBut is Next without the regions of but.
func (m *Map) NextBut(disk cdp.DiskID, off, limit int64, but *Regions) (start, n int64, ok bool) {
	for {
		start, n, ok = m.Next(disk, off, limit)
		if !ok {
			return 0, 0, false
		}
		out, until := but.At(disk, start, start+n)
		if !out {
			return start, until - start, true
		}
		off = until
	}
}

// ClearBut is Clear without the regions of but.
func (m *Map) ClearBut(disk cdp.DiskID, off, n int64, but *Regions) {
	for end := off + n; off < end; {
		out, until := but.At(disk, off, end)
		if !out {
			m.Clear(disk, off, until-off)
		}
		off = until
	}
}
