package vault

import (
	"sort"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
)

// chain looks things up in the stored frames, and passes over those that cannot be
// read. It has no state of its own but which these are.
type chain struct {
	store  Store
	ledger *ledger
	index  *index
	bad    *badFrames
}

// errStop ends a walk early.
var errStop = cdp.Errorf(cdp.Internal, "walk", "", "stopped")

// headerFrom is the header of the first frame in [no, upTo] that can be read.
func (c chain) headerFrom(no, upTo cdp.FrameNo) (frame.Header, bool, error) {
	var h frame.Header
	ok := false
	err := c.walk(no, upTo, 0, func(t frame.Table) error {
		h, ok = t.Header, true
		return errStop
	}, passOver)
	if err == errStop {
		err = nil
	}
	return h, ok, err
}

func passOver(_, _ cdp.Seq) error { return nil }

// search finds the first stored frame whose header is past what is sought.
// Frames are dense, so it is a binary search. Not found: newest+1.
func (c chain) search(past func(frame.Header) bool) (cdp.FrameNo, error) {
	lo, hi := c.ledger.span()
	if lo == 0 {
		return 1, nil
	}
	var failed error
	n := sort.Search(int(hi-lo)+1, func(i int) bool {
		h, ok, err := c.headerFrom(lo+cdp.FrameNo(i), hi)
		if err != nil {
			failed = err
		}
		return ok && past(h)
	})
	return lo + cdp.FrameNo(n), failed
}

// frameOf is the number of the frame that holds write s, or the first one after it.
// Where it cannot be read, that is the first of the frames that cannot.
func (c chain) frameOf(s cdp.Seq) (cdp.FrameNo, error) {
	no, err := c.search(func(h frame.Header) bool { return h.Last() >= s })
	if err != nil {
		return no, err
	}
	_, newest := c.ledger.span()
	if h, ok, err := c.headerFrom(no, newest); err != nil || ok && h.First <= s {
		return max(no, h.No), err
	}
	return no, nil
}

// touched are the blocks that the writes in (after, upTo] touched.
func (c chain) touched(after, upTo cdp.Seq) (touched, error) {
	t := touched{}
	return t, c.entries(after, upTo, t.add)
}

// at is Group.At.
func (c chain) at(after, upTo cdp.FrameNo, t time.Time) (cdp.Seq, time.Time, error) {
	const op = "find point in time"
	ns, b := t.UnixNano(), c.ledger.Bounds()
	oldest, newest := c.ledger.span()
	if oldest == 0 {
		return 0, t, cdp.Errorf(cdp.NotFound, op, "", "the journal is empty")
	}
	prev, _, err := c.headerFrom(after, after)
	if err != nil {
		return 0, t, cdp.Wrap(err, op, "")
	}
	var found cdp.Seq
	var when time.Time
	ok := false
	err = c.walk(max(after+1, oldest), min(upTo, newest), 0, func(f frame.Table) error {
		if f.Sealed > ns {
			if s, at := reached(prev, f, ns); s != 0 && b.Has(s) {
				found, when, ok = s, at, true
			}
			return errStop
		}
		if f.Has(frame.Consistent) && b.Has(f.Last()) {
			found, when, ok = f.Last(), f.Time().UTC(), true
		}
		prev = f.Header
		return nil
	}, func(_, _ cdp.Seq) error {
		prev = frame.Header{} // history may be incomplete there
		return nil
	})
	if err != nil && err != errStop {
		return 0, t, cdp.Wrap(err, op, "")
	}
	if !ok {
		return 0, t, cdp.Errorf(cdp.NotFound, op, "", "no complete history at or before %s", t.UTC().Format(time.RFC3339Nano)).
			WithHint("list the points that can be recovered with: tidemark point list JOB")
	}
	return found, when, nil
}

// reached is the newest write of frame f up to ns, with its time, if history is
// complete inside the frame, which follows prev; 0 if there is none.
func reached(prev frame.Header, f frame.Table, ns int64) (s cdp.Seq, when time.Time) {
	if !continues(prev, f.Header) {
		return 0, when
	}
	for i := range f.Records {
		w := f.Opened + int64(f.Record(i).Micros)*1000
		if w > ns {
			break
		}
		s, when = f.First+cdp.Seq(i), time.Unix(0, w).UTC()
	}
	return s, when
}

// continues reports whether history is complete at every write of h, which
// follows prev.
func continues(prev, h frame.Header) bool {
	return prev.Has(frame.Consistent) && h.Has(frame.Consistent) && !h.Has(frame.ExtentStart)
}

// complete is Group.Complete, for a write inside the bounds that no point is at.
func (c chain) complete(s cdp.Seq) (complete bool, err error) {
	const op = "look whether history is complete"
	oldest, newest := c.ledger.span()
	no, err := c.frameOf(s)
	if err != nil || oldest == 0 || no > newest {
		return false, cdp.Wrap(err, op, "")
	}
	var prev frame.Header
	if no > oldest {
		if prev, _, err = c.headerFrom(no-1, no-1); err != nil {
			return false, cdp.Wrap(err, op, "")
		}
	}
	err = c.walk(no, newest, s, func(f frame.Table) error {
		switch {
		case f.Last() > s: // inside it, if it is the first
			complete = f.No == no && f.First <= s && continues(prev, f.Header)
			return errStop
		case f.Has(frame.Consistent): // its end, or that of an empty one after it
			complete = true
			return errStop
		}
		return nil
	}, func(_, _ cdp.Seq) error { return errStop }) // nobody knows
	if err == errStop {
		err = nil
	}
	return complete, cdp.Wrap(err, op, "")
}
