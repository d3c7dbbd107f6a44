package vault

import (
	"sort"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
)

// header of the first stored frame numbered no or higher.
func (g *Group) headerFrom(no, upTo cdp.FrameNo) (frame.Header, bool, error) {
	var h frame.Header
	ok := false
	err := g.store.Tables(no, upTo, func(t frame.Table) error {
		h, ok = t.Header, true
		return errStop
	})
	if err == errStop {
		err = nil
	}
	return h, ok, err
}

// errStop ends a walk early.
var errStop = cdp.Errorf(cdp.Internal, "walk", "", "stopped")

// search finds the first stored frame whose header is past what is sought.
// Frames are dense, so it is a binary search. Not found: newest+1.
func (g *Group) search(past func(frame.Header) bool) (cdp.FrameNo, error) {
	g.mu.RLock()
	lo, hi := g.oldest, g.stored.No
	g.mu.RUnlock()
	if lo == 0 {
		return 1, nil
	}
	var failed error
	n := sort.Search(int(hi-lo)+1, func(i int) bool {
		h, ok, err := g.headerFrom(lo+cdp.FrameNo(i), hi)
		if err != nil {
			failed = err
		}
		return ok && past(h)
	})
	return lo + cdp.FrameNo(n), failed
}

// frameOf is the number of the frame that holds write s, or the first one
// behind it.
func (g *Group) frameOf(s cdp.Seq) (cdp.FrameNo, error) {
	return g.search(func(h frame.Header) bool { return h.Last() >= s })
}

// At finds the newest seq that the disks stood at by t, in source time, and
// where history is complete: the end of a consistent frame, or any write inside
// a consistent frame that follows one.
func (g *Group) At(t time.Time) (cdp.Seq, time.Time, error) {
	const op = "find point in time"
	ns := t.UnixNano()
	no, err := g.search(func(h frame.Header) bool { return h.Sealed > ns })
	if err != nil {
		return 0, t, cdp.Wrap(err, op, "")
	}
	b := g.Bounds()
	g.mu.RLock()
	oldest, newest := g.oldest, g.stored.No
	g.mu.RUnlock()
	if oldest == 0 {
		return 0, t, cdp.Errorf(cdp.NotFound, op, "", "the journal is empty")
	}
	// Inside the frame that was open at t, if both its ends are consistent.
	if no > oldest && no <= newest {
		prev, _, err := g.headerFrom(no-1, newest)
		if err != nil {
			return 0, t, cdp.Wrap(err, op, "")
		}
		var at cdp.Seq
		var when int64
		err = g.store.Tables(no, no, func(f frame.Table) error {
			if !prev.Has(frame.Consistent) || !f.Has(frame.Consistent) || f.Has(frame.ExtentStart) {
				return nil
			}
			for i := range f.Records {
				w := f.Opened + int64(f.Record(i).Micros)*1000
				if w > ns {
					break
				}
				at, when = f.First+cdp.Seq(i), w
			}
			return nil
		})
		if err != nil {
			return 0, t, cdp.Wrap(err, op, "")
		}
		if at != 0 && b.Has(at) {
			return at, time.Unix(0, when).UTC(), nil
		}
	}
	// Else the end of the newest consistent frame before it.
	for no = min(no, newest+1); no > oldest; {
		no--
		h, ok, err := g.headerFrom(no, no)
		if err != nil {
			return 0, t, cdp.Wrap(err, op, "")
		}
		if ok && h.Has(frame.Consistent) && b.Has(h.Last()) {
			return h.Last(), h.Time().UTC(), nil
		}
		if h.Last() < b.Horizon {
			break
		}
	}
	return 0, t, cdp.Errorf(cdp.NotFound, op, "", "no complete history at or before %s", t.UTC().Format(time.RFC3339Nano)).
		WithHint("list the points that can be recovered with: tidemark point list JOB")
}

// Complete reports whether history is complete at write s, by the same rule: in
// the middle of a copy the disks are a mix of two moments.
func (g *Group) Complete(s cdp.Seq) (bool, error) {
	const op = "look whether history is complete"
	if !g.Bounds().Has(s) {
		return false, nil
	}
	g.mu.RLock()
	oldest, newest, points := g.oldest, g.stored.No, g.points
	for _, p := range points {
		if p.Seq == s {
			g.mu.RUnlock()
			return true, nil
		}
	}
	g.mu.RUnlock()
	no, err := g.frameOf(s)
	if err != nil || oldest == 0 || no > newest {
		return false, cdp.Wrap(err, op, "")
	}
	var prev frame.Header
	if no > oldest {
		if prev, _, err = g.headerFrom(no-1, no-1); err != nil {
			return false, cdp.Wrap(err, op, "")
		}
	}
	complete := false
	err = g.store.Tables(no, newest, func(f frame.Table) error {
		switch {
		case f.Last() > s: // inside it, if it is the first
			complete = f.No == no && f.First <= s && prev.Has(frame.Consistent) && f.Has(frame.Consistent) && !f.Has(frame.ExtentStart)
			return errStop
		case f.Has(frame.Consistent): // its end, or that of an empty one behind it
			complete = true
			return errStop
		}
		return nil
	})
	if err == errStop {
		err = nil
	}
	return complete, cdp.Wrap(err, op, "")
}

// Newest is the header of the newest durable frame.
func (g *Group) Newest() (frame.Header, bool, error) {
	no := g.Stored().No
	if no == 0 {
		return frame.Header{}, false, nil
	}
	h, ok, err := g.headerFrom(no, no)
	return h, ok, cdp.Wrap(err, "read newest frame", "")
}
