package dirty

import "tidemark.dev/pkg/cdp"

// Begin notes in place i that a write to the range is about to start. The
// caller assigns the places; each is for one write at a time.
func (m *Map) Begin(i int, disk cdp.DiskID, off, n int64) {
	e := m.intent(i)
	e.disk, e.off, e.len = uint32(disk), off, n
	e.state.Store(1)
}

// End says that the write of place i is in a frame, or dirty, or did not happen.
func (m *Map) End(i int) { m.intent(i).state.Store(0) }

// takeIntents makes every write that was on its way dirty.
func (m *Map) takeIntents() {
	for i := range Intents {
		e := m.intent(i)
		if e.state.Load() == 0 {
			continue
		}
		if int(e.disk) < len(m.disks) && e.off >= 0 && e.len > 0 && e.off+e.len <= m.disks[e.disk].Size {
			m.Set(cdp.DiskID(e.disk), e.off, e.len)
		}
		e.state.Store(0)
	}
}

// Mark is the mark that was set last.
func (m *Map) Mark() Mark { return m.head().marks[m.head().which.Load()&1] }

// SetMark replaces the mark, whole or not at all. One goroutine at a time.
func (m *Map) SetMark(k Mark) {
	h := m.head()
	other := h.which.Load()&1 ^ 1
	h.marks[other] = k
	h.which.Store(other)
}
