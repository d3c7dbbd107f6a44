package pebblestore

import (
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// compactions lets one compaction of a database run at a time, which is what its options
// allow. Pebble's own scheduler does the same, and looks ten times a second whether more
// is allowed by now: of a thousand idle groups that is half of what they cost.
//
// Nothing waits for ever: a compaction is refused only while another runs, and the end of
// that one grants the next.
type compactions struct {
	db     pebble.DBForCompaction // set once, before anything else is called
	grants sync.WaitGroup

	mu      sync.Mutex
	running int
	closed  bool
}

var (
	_ pebble.CompactionScheduler   = (*compactions)(nil)
	_ pebble.CompactionGrantHandle = (*compactions)(nil)
)

// Register implements pebble.CompactionScheduler.
func (c *compactions) Register(_ int, db pebble.DBForCompaction) { c.db = db }

// Unregister implements pebble.CompactionScheduler.
func (c *compactions) Unregister() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.grants.Wait()
}

// TrySchedule implements pebble.CompactionScheduler.
func (c *compactions) TrySchedule() (bool, pebble.CompactionGrantHandle) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.running > 0 {
		return false, nil
	}
	c.running++
	return true, c
}

// UpdateGetAllowedWithoutPermission implements pebble.CompactionScheduler. What is
// allowed never changes.
func (c *compactions) UpdateGetAllowedWithoutPermission() {}

// Done implements pebble.CompactionGrantHandle: a compaction has ended, and the next may
// run.
func (c *compactions) Done() {
	c.mu.Lock()
	c.running--
	if c.closed || c.running > 0 {
		c.mu.Unlock()
		return
	}
	c.grants.Add(1)
	defer c.grants.Done()
	c.mu.Unlock() // the database's locks come before this one
	waiting, _ := c.db.GetWaitingCompaction()
	if waiting && c.db.Schedule(c) {
		c.mu.Lock()
		c.running++
		c.mu.Unlock()
	}
}

// Started, MeasureCPU and CumulativeStats implement pebble.CompactionGrantHandle.
func (c *compactions) Started()                                            {}
func (c *compactions) MeasureCPU(pebble.CompactionGoroutineKind)           {}
func (c *compactions) CumulativeStats(_ pebble.CompactionGrantHandleStats) {}
