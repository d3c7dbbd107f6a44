package overlay

import (
	"sync"
	"syscall"

	"tidemark.dev/pkg/cdp"
)

// Budget bounds what the scratch of several disks takes on its file system. What was
// written over with zeros, or trimmed, takes nothing.
type Budget struct {
	limit int64

	mu    sync.Mutex
	files []string
	used  int64 // no less than what they take
}

// NewBudget is a budget of limit bytes.
func NewBudget(limit int64) *Budget { return &Budget{limit: limit} }

// Within makes writes to the disk fail with ENOSPC that would make the disks of b take
// more than its limit. It is called before the disk is used.
func (d *Disk) Within(b *Budget) {
	b.mu.Lock()
	defer b.mu.Unlock()
	d.budget = b
	b.files = append(b.files, d.path)
	b.used = b.limit // so that the first write counts
}

// take is ENOSPC if there is no room for a write of n bytes. Writes count in full until
// the budget seems used up; only then is it measured, for most are over what is there.
func (b *Budget) take(n int64) error {
	n += 2 * cdp.BlockSize // the blocks at its edges are copied from below
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.used+n > b.limit {
		if b.used = b.measure(); b.used+n > b.limit {
			return syscall.ENOSPC
		}
	}
	b.used += n
	return nil
}

// Taken is what the disks take now, in bytes.
func (b *Budget) Taken() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.measure()
}

func (b *Budget) measure() (n int64) {
	for _, path := range b.files {
		var st syscall.Stat_t
		if syscall.Stat(path, &st) == nil { // one that is gone takes nothing
			n += st.Blocks * 512
		}
	}
	return n
}
