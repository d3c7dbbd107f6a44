package vsphere

import (
	"context"
	"slices"
	"sync"
	"time"
)

// callTimes is how long the newest calls took, those that wait for something left out.
type callTimes struct {
	mu     sync.Mutex
	newest [64]time.Duration
	n      int // of all calls so far
}

// note notes a call that began then and is over now.
func (t *callTimes) note(began time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.newest[t.n%len(t.newest)] = time.Since(began)
	t.n++
}

// CallTime is how long a call took lately: the median, so that the few that read a whole
// inventory do not count for more than others. 0: there was none yet.
func (c *Client) CallTime(context.Context) time.Duration {
	t := &c.took
	t.mu.Lock()
	defer t.mu.Unlock()
	all := slices.Clone(t.newest[:min(t.n, len(t.newest))])
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[len(all)/2]
}
