package dirty

import (
	"os"
	"sync/atomic"

	"tidemark.dev/pkg/cdp"
)

const (
	seedNone = iota
	seedWhole
	seedNarrowing
)

// Map is an open file. Make one with Open. All ranges are in bytes, inside the
// disk, and stand for every region they touch.
type Map struct {
	file  *os.File
	mem   []byte
	disks []cdp.Disk

	dirty []layer    // per disk
	gens  [2][]layer // activity, per generation and disk
	count atomic.Int64
}

func (m *Map) views() {
	at := sizesAt + roundUp(int64(len(m.disks))*8, page)
	next := func() (ls []layer) {
		for _, d := range m.disks {
			n := bitBytes(d.Size)
			ls = append(ls, layerAt(m.mem[at:at+n]))
			at += n
		}
		return ls
	}
	m.dirty, m.gens[0], m.gens[1] = next(), next(), next()
}

func (m *Map) recount() {
	n := int64(0)
	for _, l := range m.dirty {
		n += l.count()
	}
	m.count.Store(n)
}

// Disks are the disks the map is of.
func (m *Map) Disks() []cdp.Disk { return m.disks }

// Count is how many regions are dirty.
func (m *Map) Count() int64 { return m.count.Load() }

// Bytes is how many bytes the dirty regions hold at most.
func (m *Map) Bytes() int64 { return m.count.Load() * RegionSize }

// Total is the number of bytes of all disks.
func (m *Map) Total() (n int64) {
	for _, d := range m.disks {
		n += d.Size
	}
	return n
}

// Set makes the range dirty.
func (m *Map) Set(disk cdp.DiskID, off, n int64) {
	from, to := span(off, n)
	if c := m.dirty[disk].set(from, to); c != 0 {
		m.count.Add(c)
	}
}

// Clear makes the range clean. off is the start of a region; n ends one, or the
// disk.
func (m *Map) Clear(disk cdp.DiskID, off, n int64) {
	from, to := span(off, n)
	if c := m.dirty[disk].unset(from, to); c != 0 {
		m.count.Add(-c)
	}
}

// SetAll makes every region of every disk dirty.
func (m *Map) SetAll() {
	for _, d := range m.disks {
		m.Set(d.ID, 0, d.Size)
	}
}

// At reports whether the region of off is dirty, and where the run of regions
// in the same state ends: at most at end.
func (m *Map) At(disk cdp.DiskID, off, end int64) (dirty bool, until int64) {
	from, to := span(off, end-off)
	l := m.dirty[disk]
	dirty = l.has(from)
	return dirty, min(end, l.next(from, to, !dirty)*RegionSize)
}

// Next is the first dirty run at or after off, at most limit bytes long, whole
// regions as far as the disk reaches. ok is false when there is none.
func (m *Map) Next(disk cdp.DiskID, off, limit int64) (start, n int64, ok bool) {
	size := m.disks[disk].Size
	if off >= size {
		return 0, 0, false
	}
	l, end := m.dirty[disk], regions(size)
	from := l.next(off/RegionSize, end, true)
	if from == end {
		return 0, 0, false
	}
	to := l.next(from, min(end, from+max(1, limit/RegionSize)), false)
	start = from * RegionSize
	return start, min(to*RegionSize, size) - start, true
}

// Seeding reports whether the disks are being sent for the first time, or
// again as a whole.
func (m *Map) Seeding() bool { return m.head().seed.Load() != seedNone }

// Seed starts a seed of everything.
func (m *Map) Seed() {
	m.head().seed.Store(seedWhole)
	m.SetAll()
}

// Narrow clears the map, for the caller to Set what is allocated. If the process
// dies before Narrowed, the next one finds everything dirty.
func (m *Map) Narrow() {
	m.head().seed.Store(seedNarrowing)
	for _, d := range m.disks {
		m.Clear(d.ID, 0, d.Size)
	}
}

// Narrowed ends what Narrow began.
func (m *Map) Narrowed() { m.head().seed.Store(seedWhole) }

// Seeded says that the seed is complete.
func (m *Map) Seeded() { m.head().seed.Store(seedNone) }
