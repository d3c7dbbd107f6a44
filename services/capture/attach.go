package capture

import (
	"context"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/admission"
	"tidemark.dev/pkg/core/frame"
)

// maxPuzzled is how often a stream whose last message is gone, and which the
// journal has not reached, is looked at again before it is replaced.
const maxPuzzled = 20

// attach finds the group's place in the stream, at the start and whenever the
// stream turns out to be elsewhere. Guest I/O goes on meanwhile.
func (s *sender) attach(ctx context.Context) error {
	o := s.order
	s.stream.Reset()
	for len(s.stream.Results()) > 0 {
		<-s.stream.Results()
	}
	epoch, fresh := s.epoch, false
	take := func() (err error) {
		epoch, err = s.takeEpoch(ctx)
		fresh = true
		return err
	}
	switch {
	case epoch != 0:
	case s.taken != 0: // by a try that found no place
		epoch, fresh = s.taken, true
	default:
		if err := take(); err != nil {
			return err
		}
	}
	k := s.known()
	p, last, err := s.look(ctx, k, epoch)
	for err == nil && p.newer {
		if err = take(); err == nil {
			p, last, err = s.look(ctx, k, epoch)
		}
	}
	if err != nil {
		return err
	}
	// A new place needs a new epoch, above all that stream and journal have: they
	// may have lost less than whoever gives epochs out.
	for anew := !fresh && !s.continues(k, p, last); anew || epoch < p.epoch || fresh && epoch == p.epoch; anew = false {
		if err := take(); err != nil {
			return err
		}
	}
	switch {
	case (o.job.frozen() || o.job.Verify) && (p.apart || s.strayed != nil):
		p.found, p.lost = false, lostEverything // what was compared may have been compared with another history
	case !p.found && (p.base.No < s.proven || s.proven == 0 && cdp.Is(s.strayed, cdp.Corrupt)):
		// The journal went back, or may have: then the activity of what it lost is forgotten.
		// What it proved it has in this epoch and still has is all that was forgotten.
		p.lost = lostEverything
	}
	if p.recreate {
		if err := s.recreate(ctx, p.base.No+1); err != nil {
			return err
		}
	}
	if p.base.No == 0 && o.job.Mode == cdp.Inline {
		o.narrow()
	}
	o.noteBare(p.base.No == 0)
	err = s.join(p, epoch, fresh)
	if err == nil {
		s.strayed = nil
		o.setTrouble(nil) // what kept it from attaching is over
	}
	return err
}

// takeEpoch takes a new fencing epoch. It is ours, even if no place is taken with
// it in the end.
func (s *sender) takeEpoch(ctx context.Context) (cdp.Epoch, error) {
	o, name := s.order, string(s.order.job.Group)
	ctx, cancel := context.WithTimeout(ctx, o.cfg.AskTimeout)
	defer cancel()
	e, err := o.deps.Epochs.Next(ctx, o.job.Group, s.taken)
	if err == nil && e <= s.taken {
		err = cdp.Errorf(cdp.Internal, "take epoch", name, "got %d after %d", e, s.taken)
	}
	if err == nil {
		s.taken = e
	}
	return e, cdp.Wrap(err, "attach", name)
}

// look asks stream and, if need be, journal until a place is found.
func (s *sender) look(ctx context.Context, k knowledge, epoch cdp.Epoch) (p place, last *frame.Header, err error) {
	const op = "attach"
	o, name := s.order, string(s.order.job.Group)
	ctx, cancel := context.WithTimeout(ctx, o.cfg.AskTimeout)
	defer cancel()
	tail, last, err := s.stream.Tail(ctx)
	if err != nil {
		return p, nil, cdp.Wrap(err, op, name)
	}
	if last != nil && last.Epoch > epoch {
		return place{newer: true}, last, nil
	}
	var cursor admission.State
	if p = findPlace(k, tail, last, nil); p.ask {
		if cursor, err = o.deps.Journal.Cursor(ctx, o.job.Target, o.job.Group); err != nil {
			return p, nil, cdp.Wrap(err, op+" (ask the journal)", name)
		}
		o.wentBack(cursor.No)
		if tail, last, err = s.stream.Tail(ctx); err != nil {
			return p, nil, cdp.Wrap(err, op, name)
		}
		p = findPlace(k, tail, last, &cursor)
	}
	if !p.again {
		s.puzzled = 0
		return p, last, nil
	}
	if s.puzzled++; s.puzzled < maxPuzzled || last != nil {
		return p, nil, cdp.Errorf(cdp.Transient, op, name, "the stream has lost its frame %d, and the journal has only frame %d", tail, p.base.No)
	}
	// Somebody purged what the journal never got.
	k.strayed = true
	return findPlace(k, tail, nil, &cursor), nil, nil
}

// continues reports whether the frames after the place were sealed for it in
// this epoch, so that they can go out again as they are.
func (s *sender) continues(k knowledge, p place, last *frame.Header) bool {
	if !p.found || p.recreate {
		return false
	}
	for _, f := range k.frames {
		if f.ord == p.from && f.sealed {
			return f.Epoch == s.epoch && f.No == p.base.No+1 && f.Prev == p.base.Hash
		}
	}
	return last != nil && last.Epoch == s.epoch
}

func (s *sender) recreate(ctx context.Context, first cdp.FrameNo) error {
	ctx, cancel := context.WithTimeout(ctx, s.order.cfg.AskTimeout)
	defer cancel()
	if err := s.stream.Recreate(ctx, first); err != nil {
		return cdp.Wrap(err, "recreate stream", string(s.order.job.Group))
	}
	select {
	case <-s.stream.Durable(): // of the stream before
	default:
	}
	return nil
}

// known is what window and mark say.
func (s *sender) known() knowledge {
	o := s.order
	o.mu.Lock()
	defer o.mu.Unlock()
	return knowledge{mark: o.book.Mark(), frames: o.out.held(), next: o.out.win.Closed() + 1, strayed: s.strayed != nil}
}
