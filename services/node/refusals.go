package node

import (
	"fmt"
	"sync"
	"time"

	"tidemark.dev/pkg/adapter/nbd"
	"tidemark.dev/pkg/clock"
)

// refusals reports clients that a server of disks refused: the first at once, then one a
// minute with the number of the others. Whoever reaches a port can be refused as often as
// he likes, and must not fill the log.
type refusals struct {
	clock clock.Clock
	tell  func(error)

	mu     sync.Mutex
	next   time.Duration // elapsed time from which on one is reported again
	others int
}

const refusalsEvery = time.Minute

func (r *refusals) add(e nbd.Event) {
	r.mu.Lock()
	now := r.clock.Elapsed()
	if r.next > now {
		r.others++
		r.mu.Unlock()
		return
	}
	n := r.others
	r.next, r.others = now+refusalsEvery, 0
	r.mu.Unlock()
	err := e.Err
	if e.Export != "" {
		err = fmt.Errorf("disk %s: %w", e.Export, err)
	}
	if e.Peer.Addr != "" {
		err = fmt.Errorf("client %s: %w", e.Peer.Addr, err)
	}
	if n > 0 {
		err = fmt.Errorf("%w (and %d more refused before)", err, n)
	}
	r.tell(err)
}
