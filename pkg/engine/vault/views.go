package vault

import (
	"maps"
	"slices"
	"sync"

	"tidemark.dev/pkg/cdp"
)

// views are the open views, and what they all read from. Its mutex is taken
// before ledger.mu.
type views struct {
	layouts *layouts
	store   Store
	replica Replica
	ledger  *ledger
	index   *index
	sums    *sums
	bad     *badFrames
	reads   sync.Pool // *blockRead, memory for reads

	// drop is held for reading by every read of a view, and for writing while
	// floors or index entries are dropped.
	drop sync.RWMutex

	mu   sync.Mutex
	open map[*View]struct{}
	// barred is the destination of a move of horizon: no view is opened below it
	// any more. 0 if there is no move.
	barred cdp.Seq
	closed *sync.Cond // on mu: a view was closed
}

func newViews(ls *layouts, store Store, replica Replica, l *ledger, x *index) *views {
	vs := &views{layouts: ls, store: store, replica: replica, ledger: l, index: x, open: map[*View]struct{}{}}
	vs.closed = sync.NewCond(&vs.mu)
	vs.reads.New = func() any { return &blockRead{} }
	return vs
}

// add opens a view of seq at.
func (vs *views) add(at cdp.Seq) (*View, error) {
	const op = "open view"
	if err := vs.ledger.check(op); err != nil {
		return nil, err
	}
	vs.mu.Lock()
	defer vs.mu.Unlock()
	st, b := vs.ledger.now()
	if st.Straight {
		return nil, cdp.Errorf(cdp.NotFound, op, "", "nothing can be recovered yet: the first copy is still running").
			WithHint("it is complete with the first recovery point; see: tidemark status")
	}
	if !b.Has(at) || at < vs.barred {
		return nil, cdp.Errorf(cdp.NotFound, op, "", "write %d is outside the journal (%s)", at, b).
			WithHint("list the points that can be recovered with: tidemark point list JOB")
	}
	v := &View{of: vs, at: at}
	vs.open[v] = struct{}{}
	return v, nil
}

// addBrief opens a view of head or, during a seed, of seq applied.
func (vs *views) addBrief(applied cdp.Seq) *View {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	st, b := vs.ledger.now()
	v := &View{of: vs, at: b.Head, brief: true} // barred is never past head
	if st.Straight {
		v.at = max(v.at, applied)
	}
	vs.open[v] = struct{}{}
	return v
}

// own is a view of the engine's own, which keeps horizon from nothing: its
// caller holds mover.mu.
func (vs *views) own(at cdp.Seq) *View { return &View{of: vs, at: at} }

// lose ends the open views of writes after head, which are not in the journal any more:
// others will get their numbers.
func (vs *views) lose(head cdp.Seq) {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	for v := range vs.open {
		if v.at > head {
			v.lost.Store(true)
		}
	}
}

// loseBelow ends the open views of what was before horizon, which was given up.
func (vs *views) loseBelow(horizon cdp.Seq) {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	for v := range vs.open {
		if v.at < horizon {
			v.lost.Store(true)
		}
	}
}

func (vs *views) remove(v *View) {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	delete(vs.open, v)
	vs.closed.Broadcast()
}

// releaseIdle closes what open views keep for their next reads.
func (vs *views) releaseIdle() {
	vs.mu.Lock()
	open := slices.Collect(maps.Keys(vs.open))
	vs.mu.Unlock()
	for _, v := range open {
		_ = v.closeIdle() // a reader was only read from
	}
}

// barBelow makes sure that no view shows less than seq to, now or until lift is
// called: horizon is about to pass. It waits for brief views; any other is a
// conflict.
func (vs *views) barBelow(op string, to cdp.Seq) (lift func(), err error) {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	vs.barred = to // from here on no view is opened that would have to be waited for
	for {
		brief, err := vs.below(op, to)
		if err != nil {
			vs.barred = 0
			return nil, err
		}
		if !brief {
			break
		}
		vs.closed.Wait()
	}
	return func() {
		vs.mu.Lock()
		vs.barred = 0
		vs.mu.Unlock()
	}, nil
}

// below reports whether a brief view shows less than seq to. Any other view that
// does is an error. The caller holds mu.
func (vs *views) below(op string, to cdp.Seq) (brief bool, err error) {
	for v := range vs.open {
		if v.at >= to {
			continue
		}
		if !v.brief {
			return false, cdp.Errorf(cdp.Conflict, op, "", "an open view shows write %d", v.at)
		}
		brief = true
	}
	return brief, nil
}

// View opens the disks as they were at seq at. It costs nothing but look-ups,
// whatever the disks' size.
func (g *Group) View(at cdp.Seq) (*View, error) { return g.views.add(at) }

// Glance calls look with the disks as they are at head. It is for looks that
// soon end: a move of horizon waits for it, but fails if another view is in its
// way. During a first copy, when frames go straight into the replica, it shows
// what went there, which may be more than is durable yet.
func (g *Group) Glance(look func(*View) error) error {
	g.seed.applying.RLock()
	defer g.seed.applying.RUnlock()
	v := g.views.addBrief(g.seed.applied)
	err := g.ledger.check("look at head") // after it is among those that lose ends
	if err == nil {
		err = look(v)
	}
	if e := v.Close(); err == nil {
		err = e
	}
	return err
}
