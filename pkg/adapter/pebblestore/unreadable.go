package pebblestore

import (
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/engine/vault"
)

// unreadable is a frame that cannot be read, before which history ends.
type unreadable struct {
	frame cdp.FrameNo // 0: none
	why   string
	// back: the replica, which may have the frame, is to go back before it.
	back bool
	// keep, unless it is 0: the replica has what the damaged frames wrote, and stays as it
	// is. History begins at base, with this frame as the first, or none if frame is that.
	keep cdp.FrameNo
}

// any reports whether there is something to do.
func (x unreadable) any() bool { return x.frame != 0 || x.keep != 0 }

// EndBefore ends history before frame no, which cannot be read. The database ends, and
// the next Load opens it without the frames from there on; it notes them as lost. Where
// the replica has what the frame wrote, and cannot go back before it, history begins after
// it instead. An error means that nothing changed.
func (g *Group) EndBefore(no cdp.FrameNo, why error) error {
	const op = "end history"
	st, _, err := g.state()
	newest := no
	if err == nil {
		newest, err = g.newestFrom(no)
	}
	x := unreadable{frame: no, why: firstLine(why), back: canGoBack(st)}
	if err == nil {
		x, err = g.around(x, newest)
	}
	if err == nil && x.keep == 0 {
		var found vault.Loaded
		if found, err = g.read(x.frame); err == nil {
			_, err = g.endBefore(x, found)
		}
	}
	if err != nil {
		return cdp.Wrap(err, op, string(g.s.id))
	}
	g.s.mu.Lock()
	defer g.s.mu.Unlock()
	g.s.unreadable = x
	g.s.current().on.end(why)
	return nil
}

// dropIndex drops the index. That it is gone is durable first: what of it is left then is
// added once more, as it is.
func (g *Group) dropIndex() error {
	l, err := g.read(0)
	if err != nil {
		return err
	}
	db := g.s.current()
	b := db.NewBatch()
	defer b.Close()
	u := &update{g: g, b: b}
	u.set(g.key(nil, kindIndexed), be.AppendUint64(nil, uint64(vault.Unneeded(l))))
	if err := errors.Join(u.err, b.Commit(pebble.Sync)); err != nil {
		return failed("drop index", err)
	}
	return failed("drop index", excise(db, []pebble.KeyRange{{Start: g.key(nil, kindRuns), End: g.key(nil, kindIndexed)}}))
}

// newestFrom is the newest frame that is stored, by its key: its header may be damaged, too.
// It is no if that is not known.
func (g *Group) newestFrom(no cdp.FrameNo) (cdp.FrameNo, error) {
	it, err := g.iter(g.frameKey(nil, no, 0), g.key(nil, kindFrame+1))
	if err != nil {
		return no, failed("read frames", err)
	}
	defer it.Close()
	if it.Last() {
		no, _ = frameOfKey(it.Key())
	}
	if err := failed("read frames", it.Error()); !cdp.Is(err, cdp.Corrupt) {
		return no, err
	}
	return no, nil
}

// around is what to do about a damaged frame: history ends before it; or, if the replica is
// past it and cannot go back before it, begins at base, where the replica is. That needs no
// entry of the index, and no floor, of what was before.
func (g *Group) around(x unreadable, newest cdp.FrameNo) (unreadable, error) {
	st, indexed, err := g.state()
	if err != nil || x.frame <= indexed || st.Moving != st.Base || st.Straight || st.Halted || st.Sealed || st.Released {
		return x, err
	}
	before, err := g.read(x.frame)
	if err != nil {
		return x, err
	}
	if _, err := g.endBefore(x, before); err == nil && (x.back || before.Newest == nil || before.Newest.Last() >= st.Base) {
		return x, nil
	}
	x.keep, x.back = x.frame, false
	for no := x.frame + 1; no <= newest; no++ {
		var h frame.Header
		err := g.Tables(no, no, func(t frame.Table) error { h = t.Header; return nil })
		switch {
		case err != nil && !cdp.Is(err, cdp.Corrupt):
			return x, err
		case h.No == 0 || h.Last() < st.Base:
			continue
		case h.First > st.Base+1: // some write after base was in the damaged frames
			return x, nil
		}
		x.keep = no
		bad, why := vault.FirstUnindexed(g, no, no, newest)
		if bad == 0 && why != nil {
			return x, why
		}
		x.frame = bad
		return x, nil
	}
	return x, nil
}

// beginAtBase gives up history before base, for the replica stays as it is: what is left
// is to be indexed anew. It changes found to what is left, and returns the points that are
// lost.
func (u *update) beginAtBase(x unreadable, found *vault.Loaded) (lost []cdp.Point, err error) {
	st := &found.State
	if err := u.g.Points(func(p cdp.Point) error {
		if p.Seq < st.Base {
			lost = append(lost, p)
			u.del(be.AppendUint64(u.g.key(u.k, kindPoint), uint64(p.Frame)))
		}
		return nil
	}); err != nil {
		return nil, err
	}
	u.note(u.b.DeleteRange(u.g.frameKey(nil, 0, 0), u.g.frameKey(nil, x.keep, 0), nil))
	for _, kinds := range beforeBase {
		u.note(u.b.DeleteRange(u.g.key(nil, kinds[0]), u.g.key(nil, kinds[1]), nil))
	}
	found.Oldest, found.Indexed = x.keep, x.keep-1
	if st.Horizon = st.Base; x.frame == x.keep {
		found.Newest = nil
	}
	u.SetState(*st)
	u.set(u.g.key(nil, kindIndexed), be.AppendUint64(nil, uint64(found.Indexed)))
	return lost, nil
}

// beforeBase are the kinds of rows that only history before base needs, or that are made
// anew of what is after it.
var beforeBase = [][2]byte{{kindRuns, kindIndexed}, {kindFloor, kindState}}

// endBefore is the newest frame once history ends before a frame. Where none before
// it is stored, because the replica has them all, one without writes takes the place of
// the last of them: a capturer goes on after it.
func (g *Group) endBefore(x unreadable, found vault.Loaded) (end frame.Header, err error) {
	const op = "end history"
	bad, st := x.frame, found.State
	if x.keep == bad {
		no := max(2, bad) - 1
		if found.Newest != nil {
			end = frame.Header{Epoch: found.Newest.Epoch, Opened: found.Newest.Sealed}
		}
		return emptyFrame(frame.Header{Epoch: end.Epoch, No: no, First: st.Base + 1, Opened: end.Opened, Sealed: end.Opened}).Header, nil
	}
	reached := max(st.Base, st.Moving)
	if x.back { // what was before its writes is kept down to horizon
		reached = st.Horizon
	}
	if found.Newest != nil {
		if end = *found.Newest; end.Last() >= reached {
			return end, nil
		}
		return end, cdp.Errorf(cdp.Corrupt, op, string(g.s.id), "the replica has a part of frame %d, which cannot be read", bad)
	}
	h, err := g.headerOf(bad, reached)
	if err != nil {
		return end, err
	}
	if h.First != reached+1 || st.Moving > st.Base && !x.back {
		return end, cdp.Errorf(cdp.Corrupt, op, string(g.s.id), "frame %d begins with write %d, and the replica has the writes up to %d", bad, h.First, reached)
	}
	if bad == 1 {
		return end, nil
	}
	return emptyFrame(frame.Header{Epoch: h.Epoch, No: bad - 1, First: h.First, Opened: h.Opened, Sealed: h.Opened}).Header, nil
}

// goBack has the replica go back to the end of history, which it is past: the next
// opening of the journal finds a move of base that was begun. The entries and floors
// that are left say what every block held there.
func (u *update) goBack(st vault.State, end frame.Header) {
	if st.Base = max(st.Base, st.Moving); st.Base > endOf(end) {
		st.Moving = endOf(end)
		u.SetState(st)
	}
}

// headerOf is what is known of the header of a damaged frame, before which base is at
// write reached: where it cannot be read, a point at that write says what it follows.
func (g *Group) headerOf(bad cdp.FrameNo, reached cdp.Seq) (h frame.Header, err error) {
	err = g.Tables(bad, bad, func(t frame.Table) error { h = t.Header; return nil })
	if !cdp.Is(err, cdp.Corrupt) {
		return h, err
	}
	follows := false
	if e := g.Points(func(p cdp.Point) error {
		follows = follows || p.Frame == bad-1 && p.Seq == reached
		return nil
	}); e != nil || !follows {
		return h, err
	}
	for no := bad + 1; h.No == 0 && no < bad+10_000; no++ { // one of its epoch or a later one
		_ = g.Tables(no, no, func(t frame.Table) error { h = t.Header; return nil })
	}
	if h.No == 0 {
		return h, err
	}
	h.No, h.First = bad, reached+1
	return h, nil
}

// emptyFrame is a frame with this header and no writes.
func emptyFrame(h frame.Header) frame.Frame {
	b := frame.NewBuilder(make([]byte, frame.SlotSize))
	return b.Seal(h)
}

// clear removes what was given up, but for the newest frame, with the tables that hold
// nothing else, so that nobody reads what is damaged.
func (g *Group) clear(x unreadable, newest cdp.FrameNo) error {
	var spans []pebble.KeyRange
	if x.frame != 0 {
		spans = append(spans, pebble.KeyRange{Start: g.frameKey(nil, newest+1, 0), End: g.key(nil, kindFrame+1)})
	}
	if x.keep != 0 {
		spans = append(spans, pebble.KeyRange{Start: g.frameKey(nil, 0, 0), End: g.frameKey(nil, min(newest, x.keep), 0)})
		for _, kinds := range beforeBase {
			spans = append(spans, pebble.KeyRange{Start: g.key(nil, kinds[0]), End: g.key(nil, kinds[1])})
		}
	}
	return failed("remove damaged frames", excise(g.s.current(), spans))
}
