package capture

import (
	"context"

	"tidemark.dev/pkg/cdp"
)

// notes takes facts from under the lock to the listeners of a group, in order
// and on one goroutine.
type notes struct {
	group  cdp.GroupID
	events Events
	queue  chan any // Change, Progress, alarm, or an error of a listener
}

// add queues a fact. It never waits: if the listener is too slow the fact is
// lost, and Status still has the state.
func (n *notes) add(fact any) {
	select {
	case n.queue <- fact:
	default:
	}
}

func (n *notes) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case f := <-n.queue:
			n.announce(f)
		}
	}
}

// flush announces what is still queued. run has returned.
func (n *notes) flush() {
	for {
		select {
		case f := <-n.queue:
			n.announce(f)
		default:
			return
		}
	}
}

func (n *notes) announce(fact any) {
	switch f := fact.(type) {
	case Change:
		n.events.StateChanged(f)
	case Progress:
		n.events.Progress(f)
	case alarm:
		if a, ok := n.events.(Alarms); ok {
			a.Alarm(n.group, f.kind, f.text)
		}
	case error:
		n.events.ListenerFailed(n.group, f)
	}
}
