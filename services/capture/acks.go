package capture

import (
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
)

// result takes the stream's answer to a frame.
func (s *sender) result(r Result) error {
	o := s.order
	if r.Err != nil {
		return cdp.Wrap(r.Err, "publish", string(o.job.Group))
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ack(r.No)
	return nil
}

// hear takes the journal's word of what it has on disk.
func (s *sender) hear(d Durable) {
	o := s.order
	o.mu.Lock()
	if !o.why.attached {
		o.mu.Unlock()
		return
	}
	if err := s.strays(d); err != nil {
		s.strayed = err
		o.mu.Unlock()
		return
	}
	if d.No > o.out.number(o.out.sealed) {
		o.mu.Unlock()
		return
	}
	o.ack(d.No)
	s.timeDurable(d.No)
	o.out.release(d.No)
	o.mu.Unlock()
	if d.Epoch == s.epoch {
		s.proven = max(s.proven, d.No)
	}
	s.forgetActivity()
}

// strays is how the journal's word shows that its history is not the one that
// the stream continues. Conflict: the stream lost what the journal has, and
// frames published since have the same numbers. Corrupt: frames that the journal
// lacks are lost. A word from before the journal was asked for the place proves
// nothing, however late it arrives: the journal had nothing after base then, and
// no frame had this epoch. Call with order.mu held.
func (s *sender) strays(d Durable) error {
	const op = "follow journal"
	out, name := &s.order.out, string(s.order.job.Group)
	switch {
	case d.No > out.base.No && d.Epoch != s.epoch:
		return cdp.Errorf(cdp.Conflict, op, name, "the journal has frame %d of epoch %d; only frames of epoch %d may follow frame %d", d.No, d.Epoch, s.epoch, out.base.No)
	case d.Refused == 0:
	case d.By == 0 && d.Refused <= out.number(out.acked):
		return cdp.Errorf(cdp.Corrupt, op, name, "the journal has no frames after %d, and the stream no longer has them", d.No)
	case d.By == s.epoch || d.By != 0 && d.Refused <= out.base.No:
		return cdp.Errorf(cdp.Conflict, op, name, "the journal refuses frame %d of epoch %d: it does not follow frame %d of epoch %d", d.Refused, d.By, d.No, d.Epoch)
	}
	return nil
}

// forgetActivity forgets the older activity if all of it is durable, at most
// once in ActivityEvery. Only a frame of this epoch proves that the journal has
// the same frames before it as this side: see strays.
func (s *sender) forgetActivity() {
	o := s.order
	now := o.deps.Clock.Now()
	if s.proven < s.olderLast || now.Sub(s.swapped) < o.cfg.ActivityEvery {
		return
	}
	s.swapped = now
	o.book.ClearOlder() // no write touches it
	o.mu.Lock()
	defer o.mu.Unlock()
	o.book.Swap()
	s.olderLast = o.out.number(o.out.win.Last())
}

// recheck leaves overflow also when no answer of the stream asks for it, and gives
// back memory that the window no longer needs. It locks.
func (o *order) recheck() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.state != event.CaptureStopped {
		o.out.win.Trim()
	}
	if o.state == event.Overflow {
		o.update("the window has drained")
	}
}

// report notes the progress of a seed or resync. It locks.
func (o *order) report() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !copies(o.state) || o.job.Mode == cdp.Tap && !o.job.Frozen {
		return
	}
	left := o.book.Bytes()
	o.total = max(o.total, left)
	o.notes.add(Progress{Group: o.job.Group, State: o.state, Done: o.total - left, Total: o.total, At: o.deps.Clock.Now()})
}
