package capture

import (
	"math/bits"

	"tidemark.dev/pkg/cdp"
)

// touched notes which sectors were written since a pass began: frames have them,
// newer than what is frozen, so they are left out when that is sent.
//
// Its memory is bounded by the number of aligned MiB that were written to; each
// takes one bit per sector, or nothing but its entry once all of it is noted.
// Group.mu guards it.
type touched struct {
	most int
	mib  map[mibKey]*sectors
}

type mibKey struct {
	disk cdp.DiskID
	mib  int64
}

const (
	mibShift      = 20
	sectorsPerMib = 1 << mibShift / cdp.SectorSize
)

type sectors [sectorsPerMib / 64]uint64

// allSectors is a MiB that was written completely.
var allSectors = func() *sectors {
	var s sectors
	for i := range s {
		s[i] = ^uint64(0)
	}
	return &s
}()

func newTouched(most int) touched { return touched{most: most, mib: map[mibKey]*sectors{}} }

// note adds a range; false when that would take more memory than allowed. Some
// of the range may be noted then.
func (t *touched) note(d cdp.DiskID, off, n int64) bool {
	for end := off + n; off < end; {
		k := mibKey{d, off >> mibShift}
		from, to := sectorsOf(k.mib, off, end)
		s := t.mib[k]
		switch {
		case s == nil && len(t.mib) >= t.most:
			return false
		case from == 0 && to == sectorsPerMib:
			t.mib[k] = allSectors
		case s == nil:
			s = new(sectors)
			t.mib[k] = s
			fallthrough
		case s != allSectors:
			s.set(from, to)
		}
		off = (k.mib + 1) << mibShift
	}
	return true
}

// sectorsOf is the part of a MiB that lies in off..end, in its sectors.
func sectorsOf(mib, off, end int64) (from, to int) {
	base := mib << mibShift
	return int(max(off-base, 0) / cdp.SectorSize), int(min(end-base, 1<<mibShift) / cdp.SectorSize)
}

func (s *sectors) set(from, to int) {
	for w := from / 64; w*64 < to; w++ {
		m := ^uint64(0)
		if at := from - w*64; at > 0 {
			m <<= uint(at)
		}
		if end := to - w*64; end < 64 {
			m &= 1<<uint(end) - 1
		}
		s[w] |= m
	}
}

// next is the first sector at or after from, before to, that was touched or
// not, as want says; to when there is none.
func (s *sectors) next(from, to int, want bool) int {
	for w := from / 64; w*64 < to; w++ {
		v := s[w]
		if !want {
			v = ^v
		}
		if at := from - w*64; at > 0 {
			v &= ^uint64(0) << uint(at)
		}
		if v != 0 {
			return min(to, w*64+bits.TrailingZeros64(v))
		}
	}
	return to
}

// rest calls f for each part of the range that was not touched, in order, until
// it says no.
func (t *touched) rest(d cdp.DiskID, off, end int64, f func(off, end int64) bool) bool {
	start := off // of the run that was not touched
	for off < end {
		k := mibKey{d, off >> mibShift}
		s := t.mib[k]
		if s == nil {
			off = min(end, (k.mib+1)<<mibShift)
			continue
		}
		base := k.mib << mibShift
		from, to := sectorsOf(k.mib, off, end)
		hit := s.next(from, to, true)
		if hit == to {
			off = base + int64(to)*cdp.SectorSize
			continue
		}
		if at := base + int64(hit)*cdp.SectorSize; at > start && !f(start, at) {
			return false
		}
		off = base + int64(s.next(hit, to, false))*cdp.SectorSize
		start = off
	}
	return start >= end || f(start, end)
}

// forget drops what lies in whole MiB between from and to.
func (t *touched) forget(d cdp.DiskID, from, to int64) {
	if len(t.mib) == 0 {
		return
	}
	for m := (from + 1<<mibShift - 1) >> mibShift; m < to>>mibShift; m++ {
		delete(t.mib, mibKey{d, m})
	}
}
