package capture

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/engine/dirty"
	"tidemark.dev/pkg/engine/window"
)

// Group captures the disks of one protection group. OpenGroup makes it ready
// for guest I/O at once; Start attaches it to its stream; Close ends it.
type Group struct {
	job    Job
	cfg    Config
	deps   Deps
	stream Stream
	book   *dirty.Map
	disks  []*disk
	flight flight

	wake   chan struct{}      // to the sender: there may be a frame to send
	room   chan struct{}      // to the copier: there may be room and work
	facts  chan any           // to the herald: Change, Progress, or an error
	done   chan struct{}      // run returned
	cancel context.CancelFunc // of run; nil before Start

	// mu orders the group's writes. It is held for one piece of a write, at
	// most frame.MaxWrite bytes, and never across a system call.
	mu    sync.Mutex
	state State
	why   facts
	win   *window.Window
	// Ordinals in the window: acked <= sent <= sealed <= win.Closed(), and
	// win.First() <= acked+1: a frame leaves only once the stream has it.
	acked, sent, sealed uint64
	// The frame of ordinal from is the one behind base in the stream, so
	// ordinal o has number base.No + o-from+1.
	from uint64
	base ref
	// seq is the last write's in the window, were it all sealed now.
	seq        cdp.Seq
	wrote      int64     // the time of the last write in the window, ns since 1970
	overflowed time.Time // when overflow began
	idle       bool      // the sender waits for wake
	parted     time.Time // when a frame that was not full was last closed
	copy       copying
	total      int64 // of the seed or resync under way, in bytes
	copied     int64 // of the last one that had something to send
	virgin     bool  // there was no map: a first start, perhaps
	frozen     freezing
	err        error // the last trouble

	// Of the sender's goroutine alone.
	epoch     cdp.Epoch
	taken     cdp.Epoch   // the last one given to us; epoch once a place is taken with it
	extent    bool        // the next frame sealed starts an extent
	tail      ref         // the last frame sealed, or base
	olderLast cdp.FrameNo // newest frame the older activity can be of
	swapped   time.Time
	durable   cdp.FrameNo // newest that the journal has
	proven    cdp.FrameNo // the same, of this epoch
	puzzled   int         // see patience
	// strayed is how the journal's history and the stream's turned out to be two;
	// nil as far as is known. A place behind the journal's newest frame ends it.
	strayed error
}

// disk is one disk of a group.
type disk struct {
	cdp.Disk
	dev Disk // nil: a tap without reference
	// Of a tap, guarded by Group.mu.
	lost   bool // it missed a write since CopyStarted
	synced bool
	// ... that is frozen.
	clients int    // that are connected
	live    bool   // its client tells every write
	away    string // if not, since when and why
}

// OpenGroup opens disks, map and window. What an earlier process left there is
// taken over.
func OpenGroup(job Job, cfg Config, deps Deps) (g *Group, err error) {
	cfg = cfg.WithDefaults()
	if err := errors.Join(cfg.check(), job.check()); err != nil {
		return nil, err
	}
	if deps, err = deps.withDefaults(); err != nil {
		return nil, err
	}
	if job.frozen() && deps.Snapshots == nil {
		return nil, cdp.Errorf(cdp.Invalid, "open group", "frozen", "this machine cannot freeze the disks of %s", job.Group).
			WithHint("capture of a vSphere VM needs the site's vCenter")
	}
	g = &Group{job: job, cfg: cfg, deps: deps, state: Detached,
		wake: make(chan struct{}, 1), room: make(chan struct{}, 1), facts: make(chan any, 64), done: make(chan struct{})}
	defer func() {
		if err != nil {
			g.release(false)
			g = nil
		}
	}()
	if err := g.openDisks(); err != nil {
		return g, err
	}
	var found dirty.Found
	g.book, found, err = dirty.Open(filepath.Join(cfg.StateDir, string(job.Group)+".dirty"), g.job.identity(deps.Boot))
	if err != nil {
		return g, err
	}
	g.flight.init(g.book)
	restored, err := g.openWindow()
	if err != nil {
		return g, err
	}
	if found <= dirty.Rebooted { // its frames cannot be placed, and need not be
		g.win.Release(g.win.Closed())
	} else if !restored {
		g.book.Lose()
	}
	g.virgin = found == dirty.Fresh
	if job.frozen() {
		if err := g.openFrozen(found); err != nil {
			return g, err
		}
	} else if job.Mode == Tap {
		g.why.tapCopying = true
		g.book.Narrow() // a tap has no regions to read: see disk.lost
		g.book.Seeded()
	}
	if open, _, _ := g.win.Open(); open {
		// Its writes are whole; what came behind them is among the intents.
		g.win.End(g.flags(), g.now())
	}
	g.acked = g.win.First() - 1
	g.sent, g.sealed = g.acked, g.acked
	g.stream, err = deps.Stream(job.Group)
	return g, cdp.Wrap(err, "open stream", string(job.Group))
}

func (g *Group) openDisks() error {
	g.job.Disks = append([]JobDisk(nil), g.job.Disks...)
	for i := range g.job.Disks {
		j := &g.job.Disks[i]
		d := &disk{}
		g.disks = append(g.disks, d)
		if j.Path != "" {
			dev, err := g.deps.Disk(j.Path, g.job.Mode != Inline)
			if err != nil {
				return cdp.Wrap(err, "open disk", j.Path)
			}
			d.dev = dev
			if j.Size == 0 {
				j.Size = dev.Size()
			}
			if j.Size != dev.Size() || j.Size == 0 || j.Size%cdp.SectorSize != 0 {
				return cdp.Errorf(cdp.Invalid, "open disk", j.Path, "it has %d bytes, the job says %d", dev.Size(), j.Size).
					WithHint("the size must be a multiple of 512 bytes")
			}
		}
		d.Disk = j.Disk
	}
	return nil
}

// openWindow looks first where a window had to fall back to.
func (g *Group) openWindow() (restored bool, err error) {
	id := window.Identity{Group: g.job.Group, Boot: g.deps.Boot}
	name := string(g.job.Group) + ".window"
	fallback := filepath.Join(g.cfg.StateDir, name)
	if _, err := os.Lstat(fallback); !errors.Is(err, fs.ErrNotExist) {
		if g.win, restored, err = window.Open(fallback, id, g.cfg.Slots); restored || cdp.Is(err, cdp.Conflict) {
			return restored, err
		}
		if err == nil {
			g.win.Close()
		}
		g.win = nil
		os.Remove(fallback)
	}
	g.win, restored, err = window.Open(filepath.Join(g.cfg.WindowDir, name), id, g.cfg.Slots)
	if err != nil && !cdp.Is(err, cdp.Conflict) {
		g.win, restored, err = window.Open(fallback, id, g.cfg.Slots)
	}
	return restored, err
}

// Close refuses further guest I/O, drains the window until ctx ends, and closes
// everything. What did not drain stays in the window for the next start, and
// among the activity should it be lost.
func (g *Group) Close(ctx context.Context) error {
	g.flight.close()
	if g.cancel != nil {
		g.drain(ctx)
		g.cancel()
	}
	g.mu.Lock()
	g.why.stopped = true
	g.settle("closed")
	g.mu.Unlock()
	if g.cancel != nil {
		<-g.done
	}
	g.tellAll()
	return g.release(true)
}

func (g *Group) drain(ctx context.Context) {
	for {
		g.mu.Lock()
		if open, n, _ := g.win.Open(); open && n > 0 && g.state.accepts() {
			g.win.End(g.flags(), g.now())
			nudge(g.wake)
		}
		done := g.win.Closed() == g.acked || !g.why.attached || g.state == Fenced
		g.mu.Unlock()
		if done {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-clock.After(g.deps.Clock, 2*time.Millisecond):
		}
	}
}

func (g *Group) release(clean bool) error {
	var errs []error
	if g.stream != nil {
		errs = append(errs, g.stream.Close())
	}
	if g.win != nil {
		errs = append(errs, g.win.Close())
	}
	for _, d := range g.disks {
		if d.dev != nil {
			if clean && g.job.Mode == Inline {
				errs = append(errs, d.dev.Sync())
			}
			errs = append(errs, d.dev.Close())
		}
	}
	if g.book != nil {
		errs = append(errs, g.book.Close(clean && errors.Join(errs...) == nil))
	}
	return errors.Join(errs...)
}

// now is the time that frames and writes get. Those of a cbt group are of the
// snapshot they were read from, whenever that is.
func (g *Group) now() int64 {
	if g.job.Mode == CBT && g.frozen.at != 0 {
		return g.frozen.at
	}
	return g.deps.Clock.Now().UnixNano()
}

// flags are those of a frame that is closed now. Call with mu held.
func (g *Group) flags() frame.Flags {
	if g.state == Replicating && g.book.Count() == 0 && !g.frozen.incomplete() {
		return frame.Consistent
	}
	return 0
}

// number is that of the frame of an ordinal. Call with mu held, attached.
func (g *Group) number(ord uint64) cdp.FrameNo {
	return cdp.FrameNo(int64(g.base.No) + int64(ord) - int64(g.from) + 1)
}

// pending is how many closed frames the stream lacks. Call with mu held.
func (g *Group) pending() int { return int(g.win.Closed() - g.acked) }

// settle chooses the state anew after a fact changed. Call with mu held.
func (g *Group) settle(reason string) {
	g.why.dirty = g.book.Count() > 0 || g.frozen.incomplete()
	g.why.seeding = g.book.Seeding()
	now := g.deps.Clock.Now()
	g.why.drained = g.pending() <= g.cfg.Slots/2 && now.Sub(g.overflowed) >= g.cfg.OverflowHold
	from := g.state
	g.state = next(from, g.why)
	if g.state == Replicating && g.why.seeding {
		g.book.Seeded()
	}
	if from == g.state {
		return
	}
	if g.state == Overflow {
		g.overflowed = now
	}
	switch {
	case g.state.copies():
		g.total = g.book.Bytes()
	case g.state == Replicating && from.copies() && g.total > 0:
		g.copied = g.total
	}
	g.tell(Change{Group: g.job.Group, From: from, To: g.state, Reason: reason, At: now})
	nudge(g.room)
	nudge(g.wake)
}

// poke wakes the sender if it waits. Call with mu held.
func (g *Group) poke() {
	if g.idle {
		g.idle = false
		nudge(g.wake)
	}
}

func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
