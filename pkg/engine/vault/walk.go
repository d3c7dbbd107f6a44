package vault

import (
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
)

// walk calls fn for the tables of the frames in [from, to], as Tables does, and passes
// over those that cannot be read. For each run of writes of which no frame can be read
// it calls lost, in their order; the first run is taken to begin after write after.
func (c chain) walk(from, to cdp.FrameNo, after cdp.Seq, fn func(frame.Table) error, lost func(first, last cdp.Seq) error) error {
	var stop error
	next := from // the number that is due
	see := func(t frame.Table) error {
		if t.No > next && t.First > after+1 {
			if stop = lost(after+1, t.First-1); stop != nil {
				return stop
			}
		}
		next, after = t.No+1, max(after, t.Last())
		stop = fn(t)
		return stop
	}
	for from <= to {
		end := c.bad.headers.next(from, to)
		err := c.store.Tables(from, end-1, see)
		if stop != nil || err != nil && !cdp.Is(err, cdp.Corrupt) {
			return err
		}
		if err != nil {
			end = max(from, next) // or one after it, if it is missing
			c.bad.headers.note(end, err)
		}
		from = end + 1
	}
	return nil
}

// entries calls fn for the entries of the writes in (after, upTo], in any order. The
// index says what frames that cannot be read held.
func (c chain) entries(after, upTo cdp.Seq, fn func(IndexEntry)) error {
	if after >= upTo {
		return nil
	}
	from, err := c.frameOf(after + 1)
	if err != nil {
		return err
	}
	_, newest := c.ledger.span()
	seen := after
	err = c.walk(from, newest, after, func(t frame.Table) error {
		if t.First > upTo {
			return errStop
		}
		entriesOf(t, after, upTo, fn)
		seen = max(seen, t.Last())
		return nil
	}, func(first, last cdp.Seq) error {
		seen = max(seen, last)
		return c.index.between(first-1, min(last, upTo), fn)
	})
	if err == errStop {
		err = nil
	}
	if err == nil && seen < upTo {
		err = c.index.between(seen, upTo, fn)
	}
	return err
}
