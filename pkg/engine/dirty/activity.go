package dirty

import "tidemark.dev/pkg/cdp"

// Touch marks the range in the current generation: a frame that is not durable
// yet has a write there. Call it under the lock that orders it with Swap.
func (m *Map) Touch(disk cdp.DiskID, off, n int64) {
	from, to := span(off, n)
	m.gens[m.head().gen.Load()&1][disk].set(from, to)
}

// Swap makes the other generation, which must be clear, the current one. The
// caller remembers the newest frame that can have touched the older.
func (m *Map) Swap() { m.head().gen.Store(m.head().gen.Load()&1 ^ 1) }

// ClearOlder forgets the generation that is not current: all its frames are
// durable.
func (m *Map) ClearOlder() { m.clearGen(m.head().gen.Load()&1 ^ 1) }

func (m *Map) clearGen(g uint32) {
	for _, l := range m.gens[g] {
		for i := range l {
			if l[i] != 0 { // leave clean pages clean
				l[i] = 0
			}
		}
	}
}

// Lose makes everything touched in either generation dirty, and forgets both:
// frames that were not durable are lost.
func (m *Map) Lose() {
	for _, gen := range m.gens {
		for d, l := range gen {
			m.take(d, l)
		}
	}
	m.clearGen(0)
	m.clearGen(1)
}

// Merge joins both generations in the one that is not current, and leaves the
// current one clear.
func (m *Map) Merge() {
	cur := m.head().gen.Load() & 1
	for d, l := range m.gens[cur] {
		for i, w := range l {
			if w != 0 {
				m.gens[cur^1][d][i] |= w
			}
		}
	}
	m.clearGen(cur)
}
