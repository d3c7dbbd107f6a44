package bus

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"tidemark.dev/pkg/cdp"
)

const (
	// restExpiry is how long the request of a resting pull waits for its one frame, and
	// restBeat the interval of its heartbeats. They show that frames were lost, or went
	// to somebody else; whether the link is up is the lookout's concern.
	restExpiry = 30 * time.Second
	restBeat   = restExpiry / 3
)

// joins is how many pulls from a site join their streams at the same time. After an
// outage a thousand do at once. If all asked at once, a busy server would answer most of
// them too late, and they would ask again, for ever.
const joins = 16

// lookout is what the pulls from one site share. A site has a thousand idle groups, and
// the heartbeats of each would be most of what they cost. So all but one of the idle pulls
// rest: they ask for one frame, for a long time. The one that stands watch has heartbeats
// as frequent as those of a busy one, and wakes the others when they fail to come.
//
// That one frame is all that the request of a killed journal can take from its successor.
type lookout struct {
	idle  time.Duration // pullIdle
	turns chan struct{} // has room for those that join

	mu      sync.Mutex
	watch   *puller // who stands watch; nil: nobody
	resting map[*puller]context.CancelCauseFunc
	absent  map[*puller]bool // those whose stream does not exist
}

// seekCost is how far apart the pulls of a site look for streams that do not exist: those
// of a thousand jobs that were applied and not started would keep both sites busy.
const seekCost = 10 * time.Millisecond

var (
	errRejoin = errors.New("the link was down")
	errWatch  = errors.New("nobody stands watch")
)

// lookoutFor is what the pulls from a site share.
func (c *Conn) lookoutFor(site cdp.Site) *lookout {
	c.lookoutsMu.Lock()
	defer c.lookoutsMu.Unlock()
	l := c.lookouts[site]
	if l == nil {
		l = &lookout{idle: pullIdle, turns: make(chan struct{}, joins), resting: map[*puller]context.CancelCauseFunc{}, absent: map[*puller]bool{}}
		if c.lookouts == nil {
			c.lookouts = map[cdp.Site]*lookout{}
		}
		c.lookouts[site] = l
	}
	return l
}

// rejoinAll makes every resting pull join its stream again: answers to the connection's
// requests may have been lost.
func (c *Conn) rejoinAll() {
	c.lookoutsMu.Lock()
	defer c.lookoutsMu.Unlock()
	for _, l := range c.lookouts {
		l.mu.Lock()
		l.wakeAll()
		l.mu.Unlock()
	}
}

// turn waits until a pull may join its stream, and returns what ends its turn.
func (l *lookout) turn(ctx context.Context) (end func(), err error) {
	select {
	case l.turns <- struct{}{}:
		return func() { <-l.turns }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// seek notes whether the stream of p exists.
func (l *lookout) seek(p *puller, exists bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if exists {
		delete(l.absent, p)
	} else {
		l.absent[p] = true
	}
}

// spread is how long p waits at least before it looks for its stream again; 0 if that
// exists.
func (l *lookout) spread(p *puller) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.absent[p] {
		return 0
	}
	return time.Duration(len(l.absent)) * seekCost
}

// stand has p stand watch if nobody does, and reports whether p does.
func (l *lookout) stand(p *puller) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.watch == nil {
		l.watch = p
	}
	return l.watch == p
}

// leave ends the watch of p, if it stands watch: lost means that the link failed, and
// otherwise another takes over.
func (l *lookout) leave(p *puller, lost bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.watch != p {
		return
	}
	l.watch = nil
	if lost {
		l.wakeAll()
		return
	}
	for _, wake := range l.resting {
		wake(errWatch)
		return
	}
}

// wakeAll has everybody join again. Call with mu held.
func (l *lookout) wakeAll() {
	for _, wake := range l.resting {
		wake(errRejoin)
	}
}

// rest waits for p's next message. The error is errRejoin or errWatch if p was woken.
func (l *lookout) rest(ctx context.Context, p *puller) (*nats.Msg, error) {
	ctx, wake := context.WithCancelCause(ctx)
	defer wake(nil)
	ctx, cancel := context.WithTimeout(ctx, 3*restBeat)
	defer cancel()
	l.mu.Lock()
	if l.watch == nil {
		l.mu.Unlock()
		return nil, errWatch
	}
	l.resting[p] = wake
	l.mu.Unlock()
	m, err := p.sub.NextMsgWithContext(ctx)
	l.mu.Lock()
	delete(l.resting, p)
	l.mu.Unlock()
	if why := context.Cause(ctx); err != nil && (errors.Is(why, errRejoin) || errors.Is(why, errWatch)) {
		return nil, why
	}
	return m, err
}
