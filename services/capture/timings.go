package capture

import (
	"time"

	"tidemark.dev/pkg/cdp"
)

// Timings hears how long the way of a write takes. Calls are frequent and come from many
// goroutines at once.
type Timings interface {
	// Written: a guest's write was answered that long after it came.
	Written(took time.Duration)
	// Durable: the journal reported a frame as durable that long after it was closed. Of
	// the frames that one report is about only the newest counts, or the newest that is
	// part of a trace; trace is that one's id.
	Durable(took time.Duration, trace string)
}

type noTimings struct{}

func (noTimings) Written(time.Duration)         {}
func (noTimings) Durable(time.Duration, string) {}

// closedAt is when a frame that is still in the window was closed.
func (b *outbox) closedAt(no cdp.FrameNo) (at time.Time, ok bool) {
	ord := b.from + uint64(no-b.base.No) - 1
	if no <= b.base.No || ord < b.win.First() || ord > b.sealed {
		return at, false
	}
	f, ok := b.win.Frame(ord)
	return f.Time(), ok
}

// timeDurable tells how long it took until frame no was durable, or a traced one before it.
// A cbt group's frames have the times of its snapshots. Call with order.mu held.
func (s *sender) timeDurable(no cdp.FrameNo) {
	o, trace := s.order, ""
	if g, ok := s.stream.(*gate); ok {
		if t, id := g.traced(no); id != "" {
			no, trace = t, id
		}
	}
	if at, ok := o.out.closedAt(no); ok && o.job.Mode != cdp.CBT {
		o.deps.Timings.Durable(max(0, o.deps.Clock.Now().Sub(at)), trace)
	}
}
