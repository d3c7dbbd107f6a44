package capture

import (
	"context"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/core/frame"
)

// sender takes the frames of a group to its stream: it finds the group's place
// there, seals and publishes frames, goes back N when one fails, and hears what
// stream and journal have. All its fields belong to its one goroutine.
type sender struct {
	order  *order
	stream Stream
	sign   frame.Signer // of recovery points; nil: they are not signed

	epoch  cdp.Epoch // of the place that was taken; 0: none yet
	taken  cdp.Epoch // the newest one given to us; epoch once a place is taken with it
	extent bool      // the next frame sealed starts an extent
	tail   ref       // the last frame sealed, or base
	parted time.Time // when a frame that was not full was last closed

	// Activity is forgotten when all of it is proven; at most one of the two
	// generations can be of frames up to olderLast.
	olderLast cdp.FrameNo
	swapped   time.Time
	proven    cdp.FrameNo // the newest frame of this epoch that the journal has

	puzzled int // how often the place could not be found: see maxPuzzled
	// strayed is the evidence that the journal's history and the stream's are not
	// the same; nil while there is none. Taking a place that follows the
	// journal's newest frame ends it.
	strayed error
}

// run attaches and sends until ctx ends.
func (s *sender) run(ctx context.Context) {
	cfg := s.order.cfg
	pauses := clock.Backoff{Min: cfg.RetryMin, Max: cfg.RetryMax}
	for ctx.Err() == nil {
		acked := s.reached()
		err := s.attach(ctx)
		if err == nil {
			err = s.send(ctx)
		}
		switch {
		case ctx.Err() != nil:
			return
		case cdp.Is(err, cdp.Fenced):
			s.fence(err)
			for ctx.Err() == nil {
				s.pause(ctx, time.Hour)
			}
			return
		}
		s.order.setTrouble(err)
		if s.reached() > acked {
			pauses.Reset()
		}
		s.pause(ctx, pauses.Next())
	}
}

// send publishes until the place in the stream is in doubt.
func (s *sender) send(ctx context.Context) error {
	o := s.order
	pauses := clock.Backoff{Min: o.cfg.RetryMin, Max: o.cfg.RetryMax}
	tick, calm := clock.After(o.deps.Clock, o.cfg.ProgressEvery), 0
	asked := o.deps.Clock.Now() // the last answer, or the first question since
	for ctx.Err() == nil {
		if s.strayed != nil {
			return s.strayed
		}
		f, ok, waiting, later := s.nextFrame()
		var err error
		var due <-chan time.Time
		if later > 0 {
			due = clock.After(o.deps.Clock, later)
		}
		if ok {
			if !waiting {
				asked = o.deps.Clock.Now()
			}
			if err = s.stream.Publish(f); err == nil {
				o.mu.Lock()
				o.out.sent++
				o.mu.Unlock()
				err = s.drainResults(&asked)
			}
		} else {
			select {
			case <-ctx.Done():
			case <-o.wake:
				if calm = 0; tick == nil {
					tick = clock.After(o.deps.Clock, o.cfg.ProgressEvery)
				}
			case <-due:
			case r := <-s.stream.Results():
				asked = o.deps.Clock.Now()
				err = s.result(r)
			case d := <-s.stream.Durable():
				s.hear(d)
			case now := <-tick:
				tick = clock.After(o.deps.Clock, o.cfg.ProgressEvery)
				s.forgetActivity()
				o.recheck()
				o.report()
				if calm++; waiting || !s.calm() {
					calm = 0
				}
				if calm > calmTicks {
					tick = nil // until it is woken
				}
				if waiting && now.Sub(asked) > o.cfg.AckTimeout {
					err = cdp.Errorf(cdp.Transient, "publish", string(o.job.Group), "the stream did not answer within %v", o.cfg.AckTimeout)
				}
			}
		}
		switch {
		case err == nil:
			if ok {
				pauses.Reset()
			}
		case cdp.Is(err, cdp.Transient), cdp.Is(err, cdp.Full):
			s.goBack(ctx, err, pauses.Next())
		default:
			return err
		}
	}
	return nil
}

// calmTicks is how many ticks find nothing to do before the ticks of an idle group end.
// By then all its activity is forgotten, generation by generation.
const calmTicks = 5

// calm reports whether a tick can find nothing to do until the sender is woken:
// all that was is durable, and its activity is forgotten.
func (s *sender) calm() bool {
	o := s.order
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.state == event.Replicating && !o.out.hasOpenWrites() && o.out.win.Closed() == o.out.acked &&
		o.out.win.First() > o.out.acked && s.proven >= s.olderLast
}

// drainResults hears what was answered while there is more to send.
func (s *sender) drainResults(asked *time.Time) error {
	for {
		select {
		case r := <-s.stream.Results():
			*asked = s.order.deps.Clock.Now()
			if err := s.result(r); err != nil {
				return err
			}
		case d := <-s.stream.Durable():
			s.hear(d)
		default:
			return nil
		}
	}
}

// goBack is go back N: everything after the last acknowledged frame is sent
// again, after a pause.
func (s *sender) goBack(ctx context.Context, why error, pause time.Duration) {
	s.order.setTrouble(why)
	s.stream.Reset()
	s.pause(ctx, pause)
	s.order.mu.Lock()
	s.order.out.sent = s.order.out.acked
	s.order.mu.Unlock()
}

// nextFrame closes and seals what there is to send. ok is false when there is
// nothing; then the sender is marked idle, unless there will be something later.
// waiting: answers are outstanding.
func (s *sender) nextFrame() (f frame.Frame, ok, waiting bool, later time.Duration) {
	o := s.order
	o.mu.Lock()
	later = s.closeFrame()
	waiting = o.out.unanswered() > 0
	ord := o.out.sent + 1
	if ord > o.out.win.Closed() {
		o.idle = later == 0 && (!waiting || o.out.unanswered() < o.cfg.InFlight)
		o.mu.Unlock()
		return f, false, waiting, later
	}
	sealed, no := o.out.sealed >= ord, o.out.number(ord)
	o.mu.Unlock()

	if sealed {
		f, _ = o.out.win.Frame(ord)
		return f, true, waiting, 0
	}
	h := frame.Header{Epoch: s.epoch, No: no, First: s.tail.Last + 1, Prev: s.tail.Hash}
	if s.extent {
		h.Flags |= frame.ExtentStart
	}
	f = o.out.win.Seal(ord, h, s.sign)
	s.tail, s.extent = ref{f.No, f.Hash, f.Last()}, false
	o.mu.Lock()
	o.out.sealed = ord
	o.mu.Unlock()
	return f, true, waiting, 0
}

// closeFrame closes the open frame if it is full, or may leave before it is; later
// is how long until it may. Call with order.mu held.
func (s *sender) closeFrame() (later time.Duration) {
	o := s.order
	open, n, full := o.out.win.OpenFrame()
	switch {
	case !open || n == 0 || !accepts(o.state):
	case full:
		o.out.win.End(o.flags(), o.stamp())
	case o.out.sent == o.out.win.Closed() && o.out.unanswered() < o.cfg.InFlight:
		// A frame costs much more than a write, and its cost is taken from
		// the guest's own processors: so a stream of writes goes out a few
		// hundred microseconds' worth at a time, a lone write at once.
		now := o.deps.Clock.Now()
		gap := o.cfg.gap(n)
		if copies(o.state) { // more is coming, and no point waits for this
			gap = 4 * o.cfg.Gap
		}
		if later = s.parted.Add(gap).Sub(now); later <= 0 {
			s.parted, later = now, 0
			o.out.win.End(o.flags(), o.stamp())
		}
	}
	return later
}

// pause waits, and keeps what the journal says.
func (s *sender) pause(ctx context.Context, d time.Duration) {
	over := clock.After(s.order.deps.Clock, d)
	for {
		select {
		case <-ctx.Done():
			return
		case <-over:
			return
		case d := <-s.stream.Durable():
			s.hear(d)
		}
	}
}

// reached is the newest frame that the stream is known to have.
func (s *sender) reached() cdp.FrameNo {
	s.order.mu.Lock()
	defer s.order.mu.Unlock()
	return s.order.book.Mark().No
}

// fence notes that another capturer has taken over.
func (s *sender) fence(err error) {
	s.stream.Reset()
	o := s.order
	o.mu.Lock()
	defer o.mu.Unlock()
	o.why.fenced, o.trouble = true, err
	o.update(err.Error())
}
