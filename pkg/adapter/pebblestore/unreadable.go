package pebblestore

import (
	"context"
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
}

// EndBefore ends history before frame no, which cannot be read. The database ends, and
// the next Load opens it without the frames from there on; it notes them as lost. An
// error means that nothing changed.
func (g *Group) EndBefore(no cdp.FrameNo, why error) error {
	const op = "end history"
	found, err := g.read(no)
	x := unreadable{frame: no, why: firstLine(why), back: canGoBack(found.State)}
	if err == nil {
		_, err = g.endBefore(x, found)
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

// DropIndex ends the database if a part of the index cannot be read; the next Load drops
// the index.
func (g *Group) DropIndex() (bool, error) {
	err := g.readsAll(kindRuns, kindIndexed)
	if !cdp.Is(err, cdp.Corrupt) {
		return false, err
	}
	g.s.mu.Lock()
	defer g.s.mu.Unlock()
	g.s.badIndex = err
	g.s.current().on.end(err)
	return true, nil
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

// endBefore is the newest frame once history ends before a frame. Where none before
// it is stored, because the replica has them all, one without writes takes the place of
// the last of them: a capturer goes on after it.
func (g *Group) endBefore(x unreadable, found vault.Loaded) (end frame.Header, err error) {
	const op = "end history"
	bad, st := x.frame, found.State
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

// clearFrom removes the frames from number bad on with the tables that hold nothing
// else, so that nobody reads what is damaged.
func (g *Group) clearFrom(bad cdp.FrameNo) error {
	span := pebble.KeyRange{Start: g.frameKey(nil, bad, 0), End: g.key(nil, kindFrame+1)}
	return failed("remove damaged frames", g.s.current().Excise(context.Background(), span))
}
