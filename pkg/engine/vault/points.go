package vault

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
)

// pointList are the recovery points, in memory as in the store.
type pointList struct {
	store  Store
	ledger *ledger
	index  *index
	stamp  func(prev *cdp.Point, p cdp.Point) cdp.Point

	// edit admits one change of the store's points at a time. It is taken before
	// mu.
	edit sync.Mutex

	mu   sync.RWMutex
	list []cdp.Point // by frame, and so by seq
}

// load reads the points from the store.
func (l *pointList) load() error {
	var list []cdp.Point
	err := l.store.Points(func(p cdp.Point) error { list = append(list, p); return nil })
	if err == nil {
		l.mu.Lock()
		l.list = list
		l.mu.Unlock()
	}
	return err
}

// pointOf is the point that a frame makes, if it makes one.
func pointOf(h frame.Header) (cdp.Point, bool) {
	return cdp.Point{Frame: h.No, Seq: h.Last(), Time: time.Unix(0, h.Sealed).UTC(), Requested: h.Has(frame.Requested), Request: h.Request},
		h.Has(frame.Marker | frame.Consistent)
}

// add stores the points that frames make, durably, and returns them.
func (l *pointList) add(tables []frame.Table) ([]cdp.Point, error) {
	var made []cdp.Point
	prev := l.newest()
	for _, t := range tables {
		if p, ok := pointOf(t.Header); ok {
			p = l.stamp(prev, p)
			made, prev = append(made, p), &p
		}
	}
	if len(made) == 0 {
		return nil, nil
	}
	u := l.store.Begin()
	for _, p := range made {
		u.PutPoint(p)
	}
	if err := u.Commit(); err != nil {
		return nil, err
	}
	for _, p := range made {
		l.set(p)
	}
	return made, nil
}

// newest is the newest point, nil if there is none.
func (l *pointList) newest() *cdp.Point {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if len(l.list) == 0 {
		return nil
	}
	p := l.list[len(l.list)-1]
	return &p
}

// set sets a point in memory, in place of the one it may have been.
func (l *pointList) set(p cdp.Point) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i, had := l.find(p.Frame)
	if had {
		l.list[i] = p
	} else {
		l.list = slices.Insert(l.list, i, p)
	}
}

// find is where the frame's point is, or would be. The caller holds mu.
func (l *pointList) find(no cdp.FrameNo) (int, bool) {
	return slices.BinarySearchFunc(l.list, no, func(p cdp.Point, no cdp.FrameNo) int { return cmp.Compare(p.Frame, no) })
}

func (l *pointList) none() bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return len(l.list) == 0
}

// has reports whether the frame made a point, usable or not.
func (l *pointList) has(no cdp.FrameNo) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	_, ok := l.find(no)
	return ok
}

// at reports whether a point is at write s.
func (l *pointList) at(s cdp.Seq) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return slices.ContainsFunc(l.list, func(p cdp.Point) bool { return p.Seq == s })
}

// usable are the points inside the bounds, oldest first.
func (l *pointList) usable() []cdp.Point {
	b := l.ledger.Bounds()
	l.mu.RLock()
	defer l.mu.RUnlock()
	return slices.DeleteFunc(slices.Clone(l.list), func(p cdp.Point) bool { return !b.Has(p.Seq) })
}

// newestUsable is the last of usable, nil if there is none.
func (l *pointList) newestUsable() *cdp.Point {
	b := l.ledger.Bounds()
	l.mu.RLock()
	defer l.mu.RUnlock()
	for i := len(l.list) - 1; i >= 0; i-- {
		if p := l.list[i]; b.Has(p.Seq) {
			return &p
		}
	}
	return nil
}

// get is the point of a frame, if it is usable.
func (l *pointList) get(no cdp.FrameNo) (cdp.Point, error) {
	b := l.ledger.Bounds()
	l.mu.RLock()
	defer l.mu.RUnlock()
	i, ok := l.find(no)
	if !ok || !b.Has(l.list[i].Seq) {
		return cdp.Point{}, cdp.Errorf(cdp.NotFound, "find point", cdp.Point{Frame: no}.ID(), "there is no such recovery point").
			WithHint("list the points that can be recovered with: tidemark point list JOB")
	}
	return l.list[i], nil
}

// change changes a point durably, unless edit refuses.
func (l *pointList) change(no cdp.FrameNo, edit func(*cdp.Point) error) (cdp.Point, error) {
	l.edit.Lock()
	defer l.edit.Unlock()
	p, err := l.get(no)
	if err != nil {
		return p, err
	}
	if err := edit(&p); err != nil {
		return p, cdp.Wrap(err, "change point", p.ID())
	}
	u := l.store.Begin()
	u.PutPoint(p)
	if err := u.Commit(); err != nil {
		return p, l.ledger.breakUnlessFull(cdp.Wrap(err, "change point", p.ID()))
	}
	l.set(p)
	return p, nil
}

// delete removes a point durably.
func (l *pointList) delete(no cdp.FrameNo) error {
	l.edit.Lock()
	defer l.edit.Unlock()
	p, err := l.get(no)
	if err != nil {
		return err
	}
	// A frame that is not indexed yet would bring its point back after a crash.
	if err := l.index.flush(); err != nil {
		return err
	}
	u := l.store.Begin()
	u.DropPoint(no)
	if err := u.Commit(); err != nil {
		return l.ledger.breakUnlessFull(cdp.Wrap(err, "delete point", p.ID()))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if i, ok := l.find(no); ok {
		l.list = slices.Delete(l.list, i, i+1)
	}
	return nil
}

// dropBelow notes in u that the points below seq s go; the caller calls gone
// once u is durable. The caller holds edit.
func (l *pointList) dropBelow(s cdp.Seq, u Update) (gone func()) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	n := 0
	for n < len(l.list) && l.list[n].Seq < s {
		u.DropPoint(l.list[n].Frame)
		n++
	}
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.list = slices.Delete(l.list, 0, n)
	}
}

// Points are the recovery points that can be used now, oldest first.
func (g *Group) Points() []cdp.Point { return g.points.usable() }

// NewestPoint is the last of Points, nil if there is none. It costs less.
func (g *Group) NewestPoint() *cdp.Point { return g.points.newestUsable() }

// EditPoint changes a point durably, and returns it as it is then. An error of edit
// changes nothing. Edits of a group happen one after the other.
func (g *Group) EditPoint(no cdp.FrameNo, edit func(*cdp.Point) error) (cdp.Point, error) {
	return g.points.change(no, edit)
}

// DeletePoint removes a point; the history around it stays.
func (g *Group) DeletePoint(no cdp.FrameNo) error { return g.points.delete(no) }
