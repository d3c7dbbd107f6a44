package capture

import (
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
)

// Status is the state of a group.
type Status struct {
	State event.CaptureState
	Epoch cdp.Epoch
	// Seq is the last write in the window; Acked and Durable are the newest
	// frames that stream and journal are known to have.
	Seq            cdp.Seq
	Acked, Durable cdp.FrameNo
	Pending        int   // closed frames the stream lacks
	DirtyBytes     int64 // that resync or seed still have to send
	TotalBytes     int64 // of all disks
	// Of a seed or resync, also when it is over: how much of it is done, in bytes.
	// Of these, the target had Verified already. Since is when it began; zero: none
	// runs.
	Done, Total int64
	Since       time.Time
	Verified    int64
	Resyncs     map[event.ResyncCause]uint64 // since the group is open
	// Trouble is the last failure of stream, journal or disk; it may be over.
	Trouble error
	// Failed is why a frozen group's last pass failed, until one goes well. As
	// long as it is not nil no point is made.
	Failed error
}

// Status is the group's state now.
func (g *Group) Status() Status {
	o := &g.order
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.state == event.CaptureStopped {
		return Status{State: event.CaptureStopped}
	}
	m := o.book.Mark()
	s := Status{State: o.state, Epoch: m.Epoch, Seq: o.out.seq, Acked: m.No, Durable: o.out.durable,
		Pending: o.out.pending(), DirtyBytes: o.book.Bytes(), TotalBytes: o.book.Total(), Trouble: o.trouble, Failed: o.failed,
		Verified: o.verified, Resyncs: o.resyncs.all()}
	if o.state == event.NeedsResync {
		if why := o.taps.absent(); why != nil {
			s.Trouble = why
		}
	}
	if s.Trouble == nil {
		s.Trouble = o.meddled
	}
	if copies(o.state) {
		s.Total = max(o.total, s.DirtyBytes)
		s.Done, s.Since = s.Total-s.DirtyBytes, o.began
	} else if o.state == event.Replicating {
		s.Total, s.Done = o.copied, o.copied
	}
	if p := o.pass; p != nil {
		s.Since = p.began
	}
	return s
}
