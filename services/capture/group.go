package capture

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/engine/dirty"
	"tidemark.dev/pkg/engine/wake"
)

// Group captures the disks of one protection group. OpenGroup makes it ready
// for guest I/O; Start attaches it to its stream; Close ends it.
//
// It only joins its parts. Each part owns its state and says which goroutine or
// lock guards it: order is shared and has the lock; sender, copier and passes
// each run on one goroutine.
type Group struct {
	*setup
	order    order
	guests   guestIO
	notes    notes
	sender   sender
	copier   copier
	passes   passes
	meddling meddling

	done   chan struct{}      // run returned
	cancel context.CancelFunc // of run; nil before Start
}

// setup is what stays the same while a group is open.
type setup struct {
	job   Job
	cfg   Config
	deps  GroupDeps
	disks []*disk // by ID
}

// disk is one disk of a group.
type disk struct {
	cdp.Disk
	dev Disk // nil for a tap without a reference, and for frozen disks
	// removed: the VM does not have it any more; see JobDisk.
	removed bool
}

// OpenGroup opens disks, map and window. It takes over what an earlier process
// left there.
func OpenGroup(job Job, cfg Config, deps GroupDeps) (g *Group, err error) {
	cfg = cfg.WithDefaults()
	if err := errors.Join(cfg.check(), job.check()); err != nil {
		return nil, err
	}
	if deps, err = deps.withDefaults(); err != nil {
		return nil, err
	}
	if job.frozen() && deps.Snapshots == nil {
		return nil, cdp.Errorf(cdp.Invalid, "open group", "frozen", "this service cannot take snapshots of the disks of %s", job.Group).
			WithHint("capturing a vSphere VM needs the vcenter service of the site")
	}
	g = newGroup(job, cfg, deps)
	defer func() {
		if err != nil {
			g.release(false)
			g = nil
		}
	}()
	if err := g.openDisks(); err != nil {
		return g, err
	}
	found, err := g.openState()
	if err != nil {
		return g, err
	}
	if job.frozen() {
		if err := g.passes.open(found); err != nil {
			return g, err
		}
	} else if job.Mode == cdp.Tap {
		g.order.book.Narrow() // no regions to read here: see taps
		g.order.book.Seeded()
	}
	g.order.recoverWindow()
	g.sender.stream, err = deps.Stream(job.Group)
	return g, cdp.Wrap(err, "open stream", string(job.Group))
}

// newGroup joins the parts; nothing is open yet.
func newGroup(job Job, cfg Config, deps GroupDeps) *Group {
	g := &Group{setup: &setup{job: job, cfg: cfg, deps: deps}, done: make(chan struct{})}
	g.notes = notes{group: job.Group, events: deps.Events, queue: make(chan any, 64)}
	g.order = order{setup: g.setup, notes: &g.notes, state: event.Detached,
		wake: wake.New(), room: wake.New(), tally: tally{resyncs: resyncs{}}}
	g.guests = guestIO{setup: g.setup, order: &g.order}
	g.sender = sender{order: &g.order}
	if deps.Key != nil {
		g.sender.sign = frame.NewSigner(deps.Key, job.Group)
	}
	g.copier = copier{order: &g.order, flight: &g.guests.flight}
	g.passes = passes{order: &g.order}
	g.meddling = meddling{setup: g.setup, order: &g.order}
	return g
}

func (g *Group) openDisks() error {
	g.job.Disks = append([]JobDisk(nil), g.job.Disks...)
	for i := range g.job.Disks {
		j := &g.job.Disks[i]
		d := &disk{removed: j.Removed}
		g.disks = append(g.disks, d)
		if j.Path != "" {
			dev, err := g.deps.Disk(j.Path, g.job.Mode != cdp.Inline)
			if err != nil {
				return cdp.Wrap(err, "open disk", j.Path)
			}
			d.dev = dev
			if j.Size == 0 {
				j.Size = dev.Size()
			}
			if j.Size != dev.Size() || j.Size == 0 || j.Size%cdp.SectorSize != 0 {
				return cdp.Errorf(cdp.Invalid, "open disk", j.Path, "it has %d bytes, the job says %d", dev.Size(), j.Size).
					WithHint("it must be a multiple of 512 bytes. If the disk was extended, apply the job with the size that it has now: the recovery points are kept")
			}
		}
		d.Disk = j.Disk
	}
	g.order.taps = newTaps(g.job)
	return nil
}

// openState opens map and window.
func (g *Group) openState() (found dirty.Found, err error) {
	o := &g.order
	o.book, found, err = dirty.Open(filepath.Join(g.cfg.StateDir, string(g.job.Group)+".dirty"), g.job.identity(g.deps.Boot))
	if err != nil {
		return found, err
	}
	g.guests.flight.init(o.book)
	restored, err := o.out.open(g.job.Group, g.cfg, g.deps)
	if err != nil {
		return found, err
	}
	if found <= dirty.Rebooted { // its frames cannot be placed, and need not be
		o.out.win.Release(o.out.win.Closed())
	} else if !restored {
		o.book.Lose()
	}
	o.virgin = found == dirty.Fresh
	if g.job.Mode == cdp.Inline {
		err = g.meddling.open()
	}
	return found, err
}

// Start attaches the group to its stream and sends until Close. Call it once.
// No failure of the bus ends it. Being fenced ends the sending, but not the
// guest I/O.
func (g *Group) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	g.cancel = cancel
	go g.run(ctx)
}

func (g *Group) run(ctx context.Context) {
	defer close(g.done)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { g.notes.run(ctx) })
	switch {
	case g.job.frozen():
		wg.Go(func() { g.passes.run(ctx) })
	case g.job.Mode == cdp.Inline:
		wg.Go(func() { g.copier.run(ctx) })
		wg.Go(func() { g.meddling.run(ctx) })
	}
	g.sender.run(ctx)
}

// Close refuses further guest I/O, drains the window until ctx ends, and closes
// everything. What did not drain stays in the window for the next start; should
// the window be lost, the activity log still covers it.
func (g *Group) Close(ctx context.Context) error {
	g.guests.flight.close()
	if g.cancel != nil {
		g.drain(ctx)
		g.cancel()
	}
	g.order.stop()
	if g.cancel != nil {
		<-g.done
	}
	g.notes.flush()
	return g.release(true)
}

func (g *Group) drain(ctx context.Context) {
	for !g.order.drained() {
		if clock.Sleep(ctx, g.deps.Clock, 2*time.Millisecond) != nil {
			return
		}
	}
}

func (g *Group) release(clean bool) error {
	var errs []error
	if g.sender.stream != nil {
		errs = append(errs, g.sender.stream.Close())
	}
	if g.order.out.win != nil {
		errs = append(errs, g.order.out.win.Close())
	}
	if clean && g.job.Mode == cdp.Inline {
		for _, d := range g.disks {
			errs = append(errs, d.dev.Flush())
		}
		errs = append(errs, g.meddling.save(true))
	}
	for _, d := range g.disks {
		if d.dev != nil {
			errs = append(errs, d.dev.Close())
		}
	}
	if g.order.book != nil {
		errs = append(errs, g.order.book.Close(clean && errors.Join(errs...) == nil))
	}
	return errors.Join(errs...)
}
