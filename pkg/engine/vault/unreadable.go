package vault

import (
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
)

// EndBeforeDamage ends history before the first frame after base that cannot be read,
// if there is one, and reports it: base could never pass it, and no point after it could
// be read. The journal is broken from then on; Recover goes on with what is left. Zero
// means that all frames after base can be read.
func (g *Group) EndBeforeDamage() (cdp.FrameNo, error) {
	const op = "end history before damage"
	g.mover.mu.Lock()
	defer g.mover.mu.Unlock()
	if err := g.ledger.check(op); err != nil {
		return 0, err
	}
	no, last, why := g.chain.firstUnreadable(g.ledger.State().Base)
	if no == 0 {
		return 0, cdp.Wrap(why, op, "")
	}
	if err := g.store.EndBefore(no, why); err != nil {
		return 0, cdp.Wrap(err, op, "")
	}
	_ = g.ledger.breakOn(cdp.Wrap(why, op, "")) // no view is opened from here on
	g.views.lose(last)
	return no, nil
}

// firstUnreadable is the first frame with writes after base that cannot be read, the
// last write before it, and why; 0 for none.
func (c chain) firstUnreadable(base cdp.Seq) (bad cdp.FrameNo, last cdp.Seq, why error) {
	oldest, newest := c.ledger.span()
	end := base // the last write of the frames so far
	for no := oldest; no != 0 && no <= newest; no++ {
		var h frame.Header
		err := c.store.Tables(no, no, func(t frame.Table) error { h = t.Header; return nil })
		if err == nil && bad != 0 {
			if h.First > base+1 {
				break
			}
			bad, why = 0, nil // what is before it has no writes after base
		}
		if err == nil && h.Last() > base {
			err = c.store.Frames(no, no, func(frame.Table, []byte) error { return nil })
		}
		switch {
		case err == nil:
			end = max(end, h.Last())
		case !cdp.Is(err, cdp.Corrupt):
			return 0, 0, err
		case bad == 0:
			bad, last, why = no, end, err
		}
	}
	return bad, last, why
}
