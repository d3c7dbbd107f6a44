package vault

import (
	"context"
	"sync"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/core/history"
	"tidemark.dev/pkg/engine/wake"
)

// index is the newest part of the index, which is not in the store yet, and the
// goroutine that writes it there. Every stored frame is in the store's index, in
// flushing or in active.
type index struct {
	store  Store
	ledger *ledger
	clock  clock.Clock
	most   int // entries of a tail that is written

	kick wake.Bell // active is full
	stop context.CancelFunc
	runs sync.WaitGroup

	mu       sync.RWMutex
	active   *tail
	flushing *tail      // being written to the store, or to be tried again; nil if none is
	writing  bool       // flushing is being written
	failed   error      // why flushing could not be written
	written  *sync.Cond // on mu: writing ended
}

func newIndex(store Store, l *ledger, cfg Config) *index {
	x := &index{store: store, ledger: l, clock: cfg.Clock, most: cfg.TailEntries, kick: wake.New(), active: newTail()}
	x.written = sync.NewCond(&x.mu)
	return x
}

// load reads the tail back from the frames after those that the store has
// indexed, and with it the points that a crash kept from being stored.
func (x *index) load(found Loaded, points *pointList) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	for x.writing {
		x.written.Wait()
	}
	t := newTail()
	if found.Newest != nil {
		u := x.store.Begin()
		unstored, most := false, x.most // entries until some are written
		next := max(found.Indexed+1, found.Oldest)
		read := func(f frame.Table) error {
			if f.No != next {
				return missing(next)
			}
			next++
			t.addFrame(f)
			if p, ok := pointOf(f.Header); ok && p.Seq >= found.State.Horizon && !points.has(p.Frame) {
				p = points.stamp(points.newest(), p)
				u.PutPoint(p)
				points.set(p)
				unstored = true
			}
			if len(t.list) >= most {
				return errStop
			}
			return nil
		}
		err := x.store.Tables(next, found.Newest.No, read)
		for ; err == errStop; err = x.store.Tables(next, found.Newest.No, read) {
			if x.store.AddIndex(t.upTo, t.sorted()) == nil { // else it is kept in memory
				t = newTail()
			}
			most = len(t.list) + x.most
		}
		if err == nil && unstored {
			err = u.Commit()
		} else {
			u.Discard()
		}
		if err != nil {
			return err
		}
	}
	x.ledger.gen.Add(1) // a view that sees the new tail needs a new Reader
	x.active, x.flushing, x.failed = t, nil, nil
	return nil
}

// start begins to write full tails to the store, until close.
func (x *index) start(ctx context.Context) {
	ctx, x.stop = context.WithCancel(ctx)
	x.runs.Go(func() { x.run(ctx) })
}

func (x *index) close() {
	x.stop()
	x.runs.Wait()
}

// run writes full tails. What could not be written stays readable in memory,
// and is tried again.
func (x *index) run(ctx context.Context) {
	var again <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-x.kick:
		case <-again:
		}
		again = nil
		if x.flush() != nil {
			again = clock.After(x.clock, time.Second)
		}
	}
}

// add makes the entries of stored frames readable. It waits while the tail is
// full and the one before it is being written: then the disk is slower than the
// bus, and waiting is what bounds memory.
func (x *index) add(tables []frame.Table) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for len(x.active.list) >= 2*x.most && x.writing && x.failed == nil {
		x.written.Wait()
	}
	for _, t := range tables {
		x.active.addFrame(t)
	}
	if len(x.active.list) >= x.most {
		x.kick.Ring()
	}
}

// flush writes the tail to the store as one sorted run. After an error nothing
// has changed.
func (x *index) flush() error {
	for {
		t, err := x.take()
		if t == nil || err != nil {
			return err
		}
		if err = x.store.AddIndex(t.upTo, t.sorted()); err == nil {
			x.ledger.gen.Add(1) // before the tail goes: a view finds the entries in one of them
		}
		x.mu.Lock()
		if err == nil {
			x.flushing = nil
		}
		x.writing, x.failed = false, err
		x.written.Broadcast()
		x.mu.Unlock()
		if err != nil {
			return cdp.Wrap(err, "store index", "")
		}
	}
}

// take is the tail to be written next: one that could not be written before, or
// the active one, which a new one replaces. Nil when there is nothing to write.
func (x *index) take() (*tail, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for x.writing {
		x.written.Wait()
	}
	if err := x.ledger.check("store index"); err != nil {
		return nil, err
	}
	if x.flushing == nil {
		if x.active.upTo == 0 {
			return nil, nil
		}
		x.flushing, x.active = x.active, newTail()
	}
	x.writing = true
	return x.flushing, nil
}

// indexReader reads the whole index, in the store and in memory, as it was when
// it was opened or later.
type indexReader struct {
	Reader
	index *index
	tails [2]*tail // nil where there was none
}

// open opens an indexReader; the caller closes it. The tails come first: an entry
// that leaves memory afterwards is still in them, and one that left before is in
// the Reader.
func (x *index) open() (indexReader, error) {
	x.mu.RLock()
	tails := [...]*tail{x.active, x.flushing}
	x.mu.RUnlock()
	r, err := x.store.Reader()
	return indexReader{r, x, tails}, err
}

// newest is the seq of a block's newest write at or below upTo; 0 for none.
func (r indexReader) newest(disk cdp.DiskID, b cdp.Block, upTo cdp.Seq) (cdp.Seq, error) {
	var newest cdp.Seq
	see := func(e history.Entry) bool { newest = max(newest, e.Seq); return false }
	r.index.mu.RLock()
	for _, t := range r.tails {
		if t != nil {
			t.entries(disk, b, upTo, see)
			t.wholesOf(disk, b.Region(), upTo, see)
		}
	}
	r.index.mu.RUnlock()
	if err := r.Entries(disk, b, upTo, see); err != nil {
		return 0, err
	}
	return newest, r.Wholes(disk, b.Region(), upTo, func(s cdp.Seq) bool { newest = max(newest, s); return false })
}

// between calls fn for the entries in (after, upTo], in any order, some perhaps twice.
func (x *index) between(after, upTo cdp.Seq, fn func(IndexEntry)) error {
	if after >= upTo {
		return nil
	}
	r, err := x.open()
	if err != nil {
		return err
	}
	defer r.Close()
	x.mu.RLock()
	for _, t := range r.tails {
		if t == nil {
			continue
		}
		for i := range t.list {
			if e := &t.list[i].IndexEntry; e.Seq > after && e.Seq <= upTo {
				fn(*e)
			}
		}
	}
	x.mu.RUnlock()
	return r.Between(after, upTo, fn)
}
