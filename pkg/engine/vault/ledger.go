package vault

import (
	"sync"
	"sync/atomic"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/admission"
	"tidemark.dev/pkg/core/frame"
)

// ledger is where the journal has got to: its state, its oldest and newest
// frame, and whether its store still works. Its mutex is the innermost lock.
type ledger struct {
	// gen counts the changes of the store that a Reader opened before them does
	// not show. It is raised before memory drops what the store shows from then on.
	gen atomic.Uint64
	// lowers counts the moves of base down, twice each: see mover.lowerTo.
	lowers atomic.Uint64

	mu     sync.RWMutex
	state  State           // as stored; changed only by a holder of mover.mu
	stored admission.State // the newest durable frame
	oldest cdp.FrameNo     // 0 for an empty journal
	broken error           // why the store failed; everything is refused then
}

// load takes over what the store holds, and lets a broken journal work again.
func (l *ledger) load(found Loaded) {
	l.gen.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state, l.oldest, l.stored, l.broken = found.State, found.Oldest, admission.State{}, nil
	if found.Newest != nil {
		l.stored = l.stored.After(*found.Newest)
	}
}

// State is what the journal remembers.
func (l *ledger) State() State {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.state
}

// Stored is the newest durable frame.
func (l *ledger) Stored() admission.State {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.stored
}

// Bounds are the journal's horizon, base and head.
func (l *ledger) Bounds() cdp.Bounds {
	_, b := l.now()
	return b
}

// now is the state with the bounds of the same moment.
func (l *ledger) now() (State, cdp.Bounds) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	// A merge moves horizon first; until it is done base follows.
	return l.state, cdp.Bounds{Horizon: l.state.Horizon, Base: max(l.state.Base, l.state.Horizon), Head: l.stored.Head}
}

// span is the oldest and the newest frame; 0, 0 for an empty journal.
func (l *ledger) span() (oldest, newest cdp.FrameNo) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.oldest, l.stored.No
}

// commit makes a new state durable together with what u holds. A full disk changes
// nothing.
func (l *ledger) commit(u Update, s State) error {
	u.SetState(s)
	if err := u.Commit(); err != nil {
		return l.breakUnlessFull(err)
	}
	l.gen.Add(1)
	l.mu.Lock()
	l.state = s
	l.mu.Unlock()
	return nil
}

// advance moves head over frames that are durable and in the index.
func (l *ledger) advance(tables []frame.Table) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range tables {
		l.stored = l.stored.After(t.Header)
		if l.oldest == 0 {
			l.oldest = t.No
		}
	}
}

// skip moves head over frames of which only the newest is stored.
func (l *ledger) skip(frames []frame.Frame) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range frames {
		l.stored = l.stored.After(f.Header)
	}
	l.oldest = l.stored.No
}

// drop makes no the oldest frame.
func (l *ledger) drop(no cdp.FrameNo) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.oldest = no
}

// breakOn notes that the store failed: what it holds is unknown until it is
// loaded again. It returns err.
func (l *ledger) breakOn(err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken == nil {
		l.broken = err
	}
	return err
}

// breakUnlessFull is breakOn for a change that a full disk refuses as a whole.
func (l *ledger) breakUnlessFull(err error) error {
	if cdp.Is(err, cdp.Full) {
		return err
	}
	return l.breakOn(err)
}

// check is why nothing can be done, nil if the store works.
func (l *ledger) check(op string) error {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.broken != nil {
		return &cdp.Error{Op: op, Kind: cdp.KindOf(l.broken), Cause: l.broken,
			Hint: "the journal's store failed: free space or repair the disk; it goes on by itself"}
	}
	return nil
}
