package vault

import (
	"context"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/core/admission"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/core/history"
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
	// Stamp gives a new point what it is stored with: its time, on the source's clock
	// until then, and how long the journal has run. prev is the point before it, nil if
	// there is none. Default: it stays as it is.
	Stamp func(prev *cdp.Point, p cdp.Point) cdp.Point
	// Held is what a retention lock holds of the points, oldest first: horizon never
	// passes seq from, and the journal is not sealed; why refuses that. A nil error:
	// nothing is held. Default: nothing ever is.
	Held func(ps []cdp.Point) (from cdp.Seq, why error)
	// Adopted: the images of a new journal hold data, without checksums.
	Adopted bool
	// Clock is for pauses between tries. Default clock.System.
	Clock clock.Clock
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
	if c.Stamp == nil {
		c.Stamp = func(_ *cdp.Point, p cdp.Point) cdp.Point { return p }
	}
	if c.Held == nil {
		c.Held = func([]cdp.Point) (cdp.Seq, error) { return 0, nil }
	}
	if c.Clock == nil {
		c.Clock = clock.System
	}
	return c
}

// Group is the journal of one protection group. It joins the parts that own the
// journal's state; see the package's doc for which part owns what.
type Group struct {
	layouts *layouts
	store   Store
	ledger  *ledger
	index   *index
	chain   chain
	points  *pointList
	views   *views
	sums    *sums
	mover   *mover
	seed    *seed

	// offered is what was admitted, and may not be durable yet; it belongs to
	// the one goroutine that calls Offer.
	offered admission.State
}

// Open opens the journal of the disks in store, over replica, and finishes a
// move that a crash interrupted. The caller closes it.
func Open(ctx context.Context, disks []cdp.Disk, store Store, replica Replica, cfg Config) (*Group, error) {
	const op = "open journal"
	cfg = cfg.withDefaults()
	l, bad := &ledger{}, &badFrames{}
	x := newIndex(store, l, cfg)
	sums := &sums{store: store, replica: replica, ledger: l}
	ls := &layouts{all: history.Of(disks)}
	g := &Group{layouts: ls, store: store, ledger: l, index: x, chain: chain{store, l, x, bad}, sums: sums,
		points: &pointList{store: store, ledger: l, index: x, stamp: cfg.Stamp}, views: newViews(ls, store, replica, l, x)}
	g.views.sums, g.views.bad = sums, bad
	g.mover = newMover(g, replica, cfg)
	g.seed = &seed{store: store, replica: replica, ledger: l, mover: g.mover, allowed: cfg.Straight}
	if err := g.load(); err != nil {
		return nil, cdp.Wrap(err, op, "")
	}
	x.start(context.WithoutCancel(ctx))
	g.mover.mu.Lock()
	defer g.mover.mu.Unlock()
	if err := g.resume(ctx, op); err != nil {
		x.close()
		return nil, cdp.Wrap(err, op, "")
	}
	return g, nil
}

// load takes over what the store holds. History ends before a frame that the index lacks
// and that cannot be read.
func (g *Group) load() error {
	err := g.loadWhole()
	if cdp.Is(err, cdp.Corrupt) && g.endBeforeUnindexed() == nil {
		err = g.loadWhole()
	}
	return err
}

// loadWhole takes over what the store holds. It is Corrupt if a part that is needed at
// once cannot be read.
func (g *Group) loadWhole() error {
	found, err := g.store.Load()
	if err != nil {
		return err
	}
	if err := g.points.load(); err != nil {
		return err
	}
	g.layouts.load(found.Layouts)
	g.mover.floors.forgetAll()
	g.sums.forget()
	g.chain.bad.reset()
	// The index before the ledger: a reader that sees a head must find its writes.
	if err := g.index.load(found, g.points); err != nil {
		return err
	}
	// The ledger last: from then on the journal works again.
	g.seed.load(found, g.points.none())
	if found.State == (State{}) { // the replica was not written yet
		found.State.Summed = !g.mover.cfg.Adopted
	}
	g.ledger.load(found)
	b := g.ledger.Bounds()
	g.views.lose(b.Head)
	g.views.loseBelow(b.Horizon)
	g.offered = g.Stored()
	return nil
}

// resume finishes what was interrupted. The caller holds mover.mu.
func (g *Group) resume(ctx context.Context, op string) error {
	if err := g.mover.finish(ctx, op); err != nil {
		return err
	}
	return g.seed.finish(ctx)
}

// Recover goes on after the store failed, with what the store holds, as Open
// would. No frame may be on its way in. Moves wait for it, and views go on.
func (g *Group) Recover(ctx context.Context) error {
	const op = "recover journal"
	g.mover.mu.Lock() // nothing may move between what is loaded and what resumes
	defer g.mover.mu.Unlock()
	err := g.load()
	if err == nil {
		err = g.resume(ctx, op)
	}
	return cdp.Wrap(err, op, "")
}

// Close stops background work. What was not durable was never reported as
// stored.
func (g *Group) Close() error {
	g.index.close()
	return nil
}

// Broken is why the store failed, nil if it works.
func (g *Group) Broken() error { return g.ledger.check("use journal") }

// Bounds are the seqs that describe the journal now.
func (g *Group) Bounds() cdp.Bounds { return g.ledger.Bounds() }

// Stored is the newest durable frame: a capturer goes on after it.
func (g *Group) Stored() admission.State { return g.ledger.Stored() }

// State is what the group remembers.
func (g *Group) State() State { return g.ledger.State() }

// Usage is the space that the journal takes.
func (g *Group) Usage() (Usage, error) {
	const op = "measure journal"
	oldest, newest := g.ledger.span()
	behind := newest + 1
	if b := g.Bounds(); b.Base < b.Head {
		var err error
		if behind, err = g.chain.frameOf(b.Base + 1); err != nil {
			return Usage{}, cdp.Wrap(err, op, "")
		}
	}
	u, err := g.store.Usage(oldest, behind)
	return u, cdp.Wrap(err, op, "")
}

// Reclaim frees the space of what was dropped from history, which otherwise happens at
// some time. Views that nobody reads from do not keep it from being freed.
func (g *Group) Reclaim(ctx context.Context) error {
	g.views.releaseIdle()
	oldest, _ := g.ledger.span()
	return cdp.Wrap(g.store.Reclaim(ctx, oldest), "reclaim space", "")
}

// Newest is the header of the newest durable frame; false for an empty journal.
func (g *Group) Newest() (frame.Header, bool, error) {
	no := g.Stored().No
	if no == 0 {
		return frame.Header{}, false, nil
	}
	h, ok, err := g.chain.headerFrom(no, no)
	return h, ok, cdp.Wrap(err, "read newest frame", "")
}

// At finds the newest seq that the disks had reached by t, in source time, among the
// frames after the frame "after", up to and including upTo, and where history is
// complete: the end of a consistent frame, or any write inside a consistent frame
// that follows one. It returns the seq's own time, too. The source's clock may have
// stepped between two frames: what follows a frame that is past t is past it as well.
func (g *Group) At(after, upTo cdp.FrameNo, t time.Time) (cdp.Seq, time.Time, error) {
	return g.chain.at(after, upTo, t)
}

// SealedAt is the source time at which a frame was sealed; false if it is not stored.
func (g *Group) SealedAt(no cdp.FrameNo) (time.Time, bool, error) {
	h, ok, err := g.chain.headerFrom(no, no)
	return h.Time().UTC(), ok, cdp.Wrap(err, "read frame", "")
}

// Complete reports whether history is complete at write s, by the same rule: in
// the middle of a copy the disks are a mix of two moments.
func (g *Group) Complete(s cdp.Seq) (bool, error) {
	if !g.Bounds().Has(s) {
		return false, nil
	}
	if g.points.at(s) {
		return true, nil
	}
	return g.chain.complete(s)
}

// Raise moves base up to seq to, in steps of bounded memory. Each step first
// saves the floors it needs, then writes the replica, then moves base; after a
// crash at any moment Open does the step again. It returns when base is there,
// or ctx ends between two steps.
func (g *Group) Raise(ctx context.Context, to cdp.Seq) error { return g.mover.raise(ctx, to, false) }

// Merge moves base and horizon together up to seq to: what was before it is
// forgotten, so no floors are saved and every block is written once. Base must
// be at horizon, as it is in roll-forward mode; else use Raise and Retain.
// Retain(to) then frees the space.
func (g *Group) Merge(ctx context.Context, to cdp.Seq) error { return g.mover.merge(ctx, to) }

// Lower moves base down to seq to: it writes back, once, what every block
// written since held then. After a crash at any moment Open does it again. Views at any
// point stay right all the while, for the blocks it writes all have floors.
func (g *Group) Lower(ctx context.Context, to cdp.Seq) error { return g.mover.lower(ctx, to) }

// Retain moves horizon up to seq to and frees the space of what was before it:
// frames, index, floors, points. Base must be at or past to already, and no view
// may show less. It goes in steps, each made at once and durably.
func (g *Group) Retain(ctx context.Context, to cdp.Seq) error { return g.mover.retain(ctx, to) }
