package journal

import (
	"sync"

	"tidemark.dev/pkg/cdp"
)

// images is a group's replica while it is the journal's. After Close the images may
// be attached to another machine, or be its disks for good: until takeBack every read
// and write is refused, also of a view that is still open.
type images struct {
	open func(disks []cdp.Disk, paths []string) (Replica, error)

	mu    sync.RWMutex
	disks []cdp.Disk
	paths []string
	r     Replica // nil: released
}

var _ Replica = (*images)(nil)

// takeBack opens the images. Images that are open stay as they are.
func (m *images) takeBack() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.r != nil {
		return nil
	}
	r, err := m.open(m.disks, m.paths)
	if err == nil {
		m.r = r
	}
	return err
}

// Close releases the images once nobody uses them.
func (m *images) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.r == nil {
		return nil
	}
	r := m.r
	m.r = nil
	return r.Close()
}

func (m *images) use(op string, fn func(Replica) error) error {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.r == nil {
		return released(op)
	}
	return fn(m.r)
}

func (m *images) Size(disk cdp.DiskID) int64 {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.disks[disk].Size
}

// Grow makes room for larger disks, and for more of them.
func (m *images) Grow(disks []cdp.Disk, paths []string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.r == nil {
		return released("grow replica")
	}
	err := m.r.Grow(disks, paths)
	if err == nil {
		m.disks, m.paths = disks, paths
	}
	return err
}

func released(op string) error {
	return cdp.Errorf(cdp.Conflict, op, "", "the journal has released the replica's disks")
}

func (m *images) ReadAt(disk cdp.DiskID, p []byte, off int64) error {
	return m.use("read replica", func(r Replica) error { return r.ReadAt(disk, p, off) })
}

func (m *images) WriteAt(disk cdp.DiskID, p []byte, off int64) error {
	return m.use("write replica", func(r Replica) error { return r.WriteAt(disk, p, off) })
}

func (m *images) Zero(disk cdp.DiskID, off, n int64) error {
	return m.use("zero replica", func(r Replica) error { return r.Zero(disk, off, n) })
}

func (m *images) IsZero(disk cdp.DiskID, off, n int64) bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.r != nil && m.r.IsZero(disk, off, n)
}

func (m *images) Sync() error {
	return m.use("sync replica", func(r Replica) error { return r.Sync() })
}
