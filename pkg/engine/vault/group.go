package vault

import (
	"context"
	"sync"
	"sync/atomic"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/admission"
	"tidemark.dev/pkg/core/frame"
)

// Config is a group's settings; zero values mean the defaults.
type Config struct {
	// TailEntries is when the in-memory part of the index is written to the
	// store, in entries of some 100 bytes. Default 65,536.
	TailEntries int
	// StepBytes is how much content one step of a move of base handles, which is
	// also the memory it needs. Default 16 MiB.
	StepBytes int
	// ForgetRecords is how many index entries one step of a move of horizon
	// drops. Default 8,192.
	ForgetRecords int
	// Straight: before the first recovery point frames are not kept, but go
	// straight into the replica.
	Straight bool
}

func (c Config) withDefaults() Config {
	if c.TailEntries == 0 {
		c.TailEntries = 64 << 10
	}
	if c.StepBytes == 0 {
		c.StepBytes = 16 << 20
	}
	if c.ForgetRecords == 0 {
		c.ForgetRecords = 8 << 10
	}
	return c
}

// Group is the journal of one protection group.
type Group struct {
	disks   []cdp.Disk
	store   Store
	replica Replica
	cfg     Config

	// move admits one of Raise, Lower, Retain at a time.
	move sync.Mutex
	// patches and arena are the memory of the steps of one Raise.
	patches []patch
	arena   []byte
	// present remembers where floors are; move guards it.
	present map[regionKey]*presence
	// edit admits one change of points at a time.
	edit sync.Mutex
	// drop: held for reading by every read of a view, and for writing while
	// floors or index entries are dropped.
	drop sync.RWMutex
	// gen counts the changes a store's Reader would not see; a Reader of an
	// older generation is reopened.
	gen atomic.Uint64
	// lowers counts the moves of base down.
	lowers atomic.Uint64
	// runs and regions are memory for reads and moves.
	runs    sync.Pool // *run
	regions sync.Pool // *[cdp.RegionSize]byte

	// mu guards what follows.
	mu       sync.RWMutex
	state    State
	stored   admission.State // what is durable
	oldest   cdp.FrameNo     // 0 for an empty journal
	active   *tail
	flushing *tail // being written to the store, or to be written again; nil if none is
	writing  bool  // flushing is being written
	// unwritten is why flushing could not be written; nil if it could.
	unwritten error
	points    []cdp.Point // by frame; the store has them, too
	views     map[*View]struct{}
	// glanced: a view that is brief was closed.
	glanced *sync.Cond // on mu
	// leaving is where a move of horizon that is under way goes: no view may be
	// opened below it any more. 0 if there is none.
	leaving cdp.Seq
	broken  error // set once the store failed; everything is refused then

	// offered is what was admitted, and may not be durable yet; it belongs to
	// the one goroutine that calls Offer.
	offered admission.State
	// straight: all that was prepared went straight into the replica; it belongs
	// to the goroutine that calls Prepare. straights are those on their way.
	straight  bool
	straights sync.WaitGroup
	// seeding: held while frames go straight into the replica, for reading by a
	// Glance; applied is the last write there.
	seeding sync.RWMutex
	applied cdp.Seq

	indexer   sync.WaitGroup
	indexKick chan struct{}
	indexRoom *sync.Cond // on mu: writing ended
	stop      context.CancelFunc
}

// Open opens the journal of the disks in store, over replica, and finishes a
// move that a crash interrupted. Close it in the end.
func Open(ctx context.Context, disks []cdp.Disk, store Store, replica Replica, cfg Config) (*Group, error) {
	const op = "open journal"
	l, err := store.Load()
	if err != nil {
		return nil, cdp.Wrap(err, op, "")
	}
	g := &Group{disks: disks, store: store, replica: replica, cfg: cfg.withDefaults(),
		views:     map[*View]struct{}{},
		indexKick: make(chan struct{}, 1)}
	g.runs.New = func() any { return &run{} }
	g.regions.New = func() any { return new([cdp.RegionSize]byte) }
	g.indexRoom, g.glanced = sync.NewCond(&g.mu), sync.NewCond(&g.mu)
	if err := g.adopt(l); err != nil {
		return nil, cdp.Wrap(err, op, "")
	}
	ictx, stop := context.WithCancel(context.WithoutCancel(ctx))
	g.stop = stop
	g.indexer.Go(func() { g.runIndexer(ictx) })
	g.move.Lock()
	defer g.move.Unlock()
	if err = g.settle(ctx, op); err == nil {
		err = g.seeded(ctx)
	}
	if err != nil {
		g.Close()
		return nil, cdp.Wrap(err, op, "")
	}
	return g, nil
}

// adopt takes over what the store holds.
func (g *Group) adopt(l Loaded) error {
	g.state, g.oldest, g.points, g.present = l.State, l.Oldest, nil, nil
	g.stored, g.active, g.flushing, g.unwritten = admission.State{}, newTail(), nil, nil
	if err := g.store.Points(func(p cdp.Point) error { g.points = append(g.points, p); return nil }); err != nil {
		return err
	}
	empty := l.Newest == nil && l.State == (State{})
	g.straight = g.cfg.Straight && len(g.points) == 0 && (empty || l.State.Straight && l.Newest != nil && l.State.Cursor == l.Newest.No)
	if l.Newest != nil {
		g.stored = admission.State{}.After(*l.Newest)
		if err := g.reload(l.Indexed); err != nil {
			return err
		}
	}
	g.offered = g.stored
	g.applied = g.stored.Head
	return nil
}

// Broken is why the store failed, nil if it works.
func (g *Group) Broken() error { return g.check("use journal") }

// Recover goes on after the store failed, with what the store holds, as Open
// would. Nothing may be under way but views.
func (g *Group) Recover(ctx context.Context) error {
	const op = "recover journal"
	g.move.Lock()
	defer g.move.Unlock()
	l, err := g.store.Load()
	if err != nil {
		return cdp.Wrap(err, op, "")
	}
	g.mu.Lock()
	for g.writing {
		g.indexRoom.Wait()
	}
	err = g.adopt(l)
	if err == nil {
		g.broken = nil
	}
	g.gen.Add(1)
	g.mu.Unlock()
	if err == nil {
		err = g.settle(ctx, op)
	}
	if err == nil {
		err = g.seeded(ctx)
	}
	return cdp.Wrap(err, op, "")
}

// reload reads the tail of the index, and the points that a crash kept from
// being stored, back from the frames behind indexed.
func (g *Group) reload(indexed cdp.FrameNo) error {
	known := map[cdp.FrameNo]bool{}
	for _, p := range g.points {
		known[p.Frame] = true
	}
	u := g.store.Begin()
	missing := false
	err := g.store.Tables(indexed+1, g.stored.No, func(t frame.Table) error {
		g.active.addFrame(t)
		if p, ok := pointOf(t.Header); ok && !known[t.No] && p.Seq >= g.state.Horizon {
			u.PutPoint(p)
			g.notePoint(p)
			missing = true
		}
		return nil
	})
	if err != nil || !missing {
		u.Discard()
		return err
	}
	return u.Commit()
}

// Close stops background work. What was not durable was never reported so.
func (g *Group) Close() error {
	g.stop()
	g.indexer.Wait()
	return nil
}

// Bounds are the seqs that describe the journal now.
func (g *Group) Bounds() cdp.Bounds {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.boundsLocked()
}

func (g *Group) boundsLocked() cdp.Bounds {
	// A merge that forgets moves horizon first; until it is done base follows.
	return cdp.Bounds{Horizon: g.state.Horizon, Base: max(g.state.Base, g.state.Horizon), Head: g.stored.Head}
}

// Stored is the newest durable frame: where a capturer goes on.
func (g *Group) Stored() admission.State {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.stored
}

// State is what the group remembers.
func (g *Group) State() State {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.state
}

// Disks are the group's disks, by ID.
func (g *Group) Disks() []cdp.Disk { return g.disks }

// Usage is the space the history takes, in bytes.
func (g *Group) Usage() (int64, error) { return g.store.Usage() }

// setState makes a new state durable together with what u holds.
func (g *Group) setState(u Update, s State) error {
	u.SetState(s)
	if err := u.Commit(); err != nil {
		return g.breakOn(err)
	}
	g.gen.Add(1)
	g.mu.Lock()
	g.state = s
	g.mu.Unlock()
	return nil
}

// breakOn remembers that the store failed: what it holds is not known any more
// until Recover, or until the journal is opened again.
func (g *Group) breakOn(err error) error {
	g.mu.Lock()
	if g.broken == nil {
		g.broken = err
	}
	g.indexRoom.Broadcast()
	g.mu.Unlock()
	return err
}

func (g *Group) check(op string) error {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if g.broken != nil {
		return &cdp.Error{Op: op, Kind: cdp.KindOf(g.broken), Cause: g.broken,
			Hint: "the journal's store failed; free space or repair the disk, then restart the journal service"}
	}
	return nil
}
