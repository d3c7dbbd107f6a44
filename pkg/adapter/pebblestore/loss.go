package pebblestore

import (
	"cmp"
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/engine/vault"
)

// compare holds a database that was opened to what was durable in it. What is
// missing is noted as a loss; points get back what they became.
func (s *store) compare() error {
	g := &Group{s: s, num: s.info.Num}
	path := s.d.cfg.FS.PathJoin(s.path(), durableName)
	was, _, points := readDurable(s.d.cfg.FS, path)
	b := s.current().NewBatch()
	defer b.Close()
	u := &update{g: g, b: b}
	bad := s.unreadable
	found, err := g.read(bad.frame)
	if err != nil {
		return err
	}
	var end frame.Header
	var before []cdp.Point // that were lost before base
	if bad.frame != 0 {
		end, err = g.endBefore(bad, found)
	}
	if err == nil && bad.keep != 0 {
		before, err = u.beginAtBase(bad, &found)
	}
	if err == nil && bad.frame == 0 {
		end, err = g.endOfHistory(found, was)
	}
	if err != nil {
		return err
	}
	known := max(was.frame, found.Indexed)
	if bad.keep == 0 { // else nothing is in the index
		known = max(known, g.runs())
	}
	if bad.frame != 0 || known > end.No {
		lost := cdp.Loss{From: end.No + 1, To: known, Found: time.Now().UTC(), Why: "the end of the journal's log is damaged or missing", Points: before}
		if bad.frame != 0 {
			lost.To, lost.Why = max(lost.To, bad.frame), bad.why
		}
		if bad.back {
			u.goBack(found.State, end)
		} else if st := found.State; max(st.Base, st.Moving) > endOf(end) {
			return cdp.Errorf(cdp.Corrupt, "open journal store", string(s.id), "the replica has writes up to %d, the journal up to %d", max(st.Base, st.Moving), endOf(end))
		}
		if err := u.cut(end, found, lost, points); err != nil {
			return err
		}
	} else if len(before) > 0 {
		lost := cdp.Loss{From: bad.keep, To: bad.keep - 1, Found: time.Now().UTC(), Why: bad.why, Points: before}
		u.json(g.lossKey(lost.From), lost)
	}
	for no, p := range points {
		if no <= end.No && no >= found.Oldest && !found.State.Straight {
			if err := u.restore(p, found.State); err != nil {
				return err
			}
		}
	}
	if err := u.dropLosses(found.Oldest); err != nil {
		return err
	}
	if err := errors.Join(u.err, b.Commit(pebble.Sync)); err != nil {
		return failed("note lost history", err)
	}
	if bad.any() {
		if err := g.clear(bad, end.No); err != nil {
			return err
		}
		s.unreadable = unreadable{}
		s.damage.set(nil)
		if bad.keep != 0 && bad.frame == 0 && len(before) == 0 { // a loss is reported by itself
			s.damage.set(cdp.Errorf(cdp.Corrupt, "read journal store", string(s.id), "a frame was damaged that the replica has and no recovery point needs: %s", bad.why))
		}
	}
	s.durable.begin(s.d.cfg.FS, path, end.No)
	s.durable.wroteManifest(s.d.cfg.FS, s.path())
	return nil
}

// endOfHistory is the newest frame before which none is missing. A log that is cut
// has all that was written to it up to some moment. So if it has the newest frame
// that went there it has all of them; if not, others may be missing, too, before
// frames that are in tables.
func (g *Group) endOfHistory(found vault.Loaded, was stored) (end frame.Header, err error) {
	if found.Newest == nil {
		return end, nil
	}
	if was.logged < found.Oldest {
		return *found.Newest, nil
	}
	there := false
	if err := g.Tables(was.logged, was.logged, func(frame.Table) error { there = true; return nil }); err != nil || there {
		return *found.Newest, err
	}
	const most = 8192 // more are not written between two syncs of the log
	from := found.Oldest
	if n := min(was.logged, found.Newest.No); n > from+most {
		from = n - most
	}
	whole := true
	err = g.Tables(from, found.Newest.No, func(t frame.Table) error {
		if whole = whole && (end.No == 0 || t.No == end.No+1); whole {
			end = t.Header
		}
		return nil
	})
	return end, err
}

// endOf is the last write of the newest frame, 0 if there is none.
func endOf(newest frame.Header) cdp.Seq {
	if newest.No == 0 {
		return 0
	}
	return newest.Last()
}

// cut ends history at end: it drops frames that cannot be joined to it, and the
// index of what is gone, whose numbers other writes will get. It notes the loss.
func (u *update) cut(end frame.Header, found vault.Loaded, lost cdp.Loss, points map[cdp.FrameNo]notedPoint) error {
	last := endOf(end)
	u.note(u.b.DeleteRange(u.g.frameKey(nil, end.No+1, 0), u.g.key(nil, kindFrame+1), nil))
	if found.Newest == nil && end.No != 0 {
		f := emptyFrame(end)
		u.note(u.b.Set(u.g.frameKey(nil, f.No, 0), slices.Concat(f.HeaderBytes(), f.TableBytes()), nil))
	}
	for _, kind := range []byte{kindIndex, kindWhole} {
		it, err := u.g.iter(u.g.key(nil, kind), u.g.key(nil, kind+1))
		if err != nil {
			return failed("cut history", err)
		}
		for ok := it.First(); ok; ok = it.Next() {
			if seqOfKey(it.Key()) > last {
				u.note(u.b.Delete(it.Key(), nil))
			}
		}
		if err := errors.Join(it.Error(), it.Close()); err != nil {
			return failed("cut history", err)
		}
	}
	u.set(u.g.key(nil, kindIndexed), be.AppendUint64(nil, uint64(min(found.Indexed, end.No))))
	u.note(u.b.Set(u.g.key(nil, kindRuns), be.AppendUint64(nil, uint64(end.No)), nil))
	err := u.g.Points(func(p cdp.Point) error {
		if _, noted := points[p.Frame]; p.Frame > end.No && !noted && p.Seq >= found.State.Horizon { // the others are lost already
			points[p.Frame] = notedPoint{Point: p}
		}
		return nil
	})
	for _, no := range slices.Sorted(maps.Keys(points)) {
		if no > end.No {
			u.del(be.AppendUint64(u.g.key(u.k, kindPoint), uint64(no)))
			if p := points[no]; !p.Gone && no <= lost.To && p.Point.Seq >= found.State.Horizon {
				lost.Points = append(lost.Points, p.Point)
			}
		}
	}
	u.json(u.g.lossKey(lost.From), lost)
	return err
}

// restore makes a point what it became, if it is something else.
func (u *update) restore(p notedPoint, st vault.State) error {
	k := be.AppendUint64(u.g.key(nil, kindPoint), uint64(p.Point.Frame))
	var is cdp.Point
	has, err := u.g.get(k, func(v []byte) error {
		if err := json.Unmarshal(v, &is); err != nil {
			return &cdp.Error{Op: "restore point", Kind: cdp.Corrupt, Cause: err}
		}
		return nil
	})
	if err != nil {
		return failed("restore point", err)
	}
	switch {
	case p.Gone && has:
		u.del(k)
	case !p.Gone && p.Point.Seq >= st.Horizon && !(has && reflect.DeepEqual(is, p.Point)):
		u.json(k, p.Point)
	}
	return nil
}

func (g *Group) lossKey(first cdp.FrameNo) []byte {
	return be.AppendUint64(g.key(nil, kindLoss), uint64(first))
}

// eachLoss calls fn for what is noted as lost, oldest first.
func (g *Group) eachLoss(fn func(k []byte, l cdp.Loss)) error {
	it, err := g.iter(g.key(nil, kindLoss), g.key(nil, kindLoss+1))
	if err != nil {
		return failed("read losses", err)
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		var l cdp.Loss
		if err := json.Unmarshal(it.Value(), &l); err != nil {
			return &cdp.Error{Op: "read losses", Kind: cdp.Corrupt, Cause: err}
		}
		fn(it.Key(), l)
	}
	return failed("read losses", it.Error())
}

// dropLosses drops what was lost before the oldest frame that is kept: its points
// would be gone by now anyway.
func (u *update) dropLosses(oldest cdp.FrameNo) error {
	return u.g.eachLoss(func(k []byte, l cdp.Loss) {
		if l.From < oldest {
			u.del(slices.Clone(k))
		}
	})
}

// Losses is the history of a group that was durable and was lost, oldest first, as
// long as history goes back to it.
func (d *DB) Losses(id cdp.GroupID) ([]cdp.Loss, error) {
	s := d.store(id)
	if s == nil {
		return nil, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current() == nil {
		return nil, nil
	}
	g := &Group{s: s, num: s.info.Num}
	var out []cdp.Loss
	err := g.eachLoss(func(_ []byte, l cdp.Loss) { out = append(out, l) })
	if err != nil || len(out) == 0 {
		return nil, err
	}
	l, err := g.read(0)
	out = slices.DeleteFunc(out, func(x cdp.Loss) bool { return x.From < l.Oldest })
	slices.SortFunc(out, func(a, b cdp.Loss) int { return cmp.Compare(a.Found.UnixNano(), b.Found.UnixNano()) })
	return out, err
}
