package journal

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/engine/spool"
	"tidemark.dev/pkg/engine/vault"
)

// group is a journal at work: what is open of it, and what it is doing.
type group struct {
	cfg  Config
	deps Deps
	id   cdp.GroupID

	vault   *vault.Group
	replica *images
	source  spool.Source
	exports *exports
	fills   *filler

	cancel context.CancelFunc
	done   chan struct{}

	// mu guards what follows.
	mu       sync.Mutex
	spec     GroupSpec
	state    event.JournalState
	reason   string
	link     spool.State
	received time.Time // when the newest frame became durable
	sealed   time.Time // its source time
	whole    bool      // history is complete at head
	clocks   []offset
	moving   *moving
	held     int                // policy moves nothing while it is above 0
	policy   context.CancelFunc // ends the move that policy is making
	intake   context.CancelFunc // stops the running intake, so that it starts anew
}

// openGroup opens a journal, with its exports that survived.
func openGroup(ctx context.Context, cfg Config, deps Deps, spec GroupSpec, disks []cdp.Disk, fresh bool) (*group, error) {
	if len(spec.Paths) != len(disks) {
		return nil, cdp.Errorf(cdp.Invalid, "open journal", string(spec.Group), "%d replica paths for %d disks", len(spec.Paths), len(disks))
	}
	source, err := deps.Streams.Source(spec.Source, spec.Group)
	if err != nil {
		return nil, err
	}
	r := &images{disks: disks, open: func() (Replica, error) { return deps.Replicas.Open(disks, spec.Paths, false) }}
	// A new group's images first: they are what it can be refused for.
	if fresh {
		if r.r, err = deps.Replicas.Open(disks, spec.Paths, !spec.Adopt); err != nil {
			return nil, err
		}
	}
	store, err := deps.Stores.Open(spec.Group, disks)
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	l, err := store.Load()
	if err == nil && !l.State.Released {
		err = r.takeBack()
	}
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	v, err := vault.Open(ctx, disks, store, r, cfg.Vault)
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	g := &group{cfg: cfg, deps: deps, id: spec.Group, vault: v, replica: r, source: source, spec: spec,
		state: event.JournalEmpty, done: make(chan struct{})}
	if g.exports, err = openExports(cfg, deps, spec.Group, v); err != nil {
		return nil, errors.Join(err, v.Close(), r.Close())
	}
	if g.fills, err = openFiller(cfg, deps, spec, v); err != nil {
		return nil, errors.Join(err, g.exports.close(), v.Close(), r.Close())
	}
	if s := v.Stored(); s.No > 0 {
		g.state = event.JournalReceiving
	}
	g.readNewest()
	return g, nil
}

// run is the group's life until ctx ends: frames in, policy, clock.
func (g *group) run(ctx context.Context) {
	defer close(g.done)
	eg, ctx := errgroup.WithContext(ctx)
	eg.Go(func() error { g.runIntake(ctx); return nil })
	eg.Go(func() error { g.runPolicy(ctx); return nil })
	eg.Go(func() error { g.runClock(ctx); return nil })
	eg.Wait()
}

// close ends the group's life and waits for it.
func (g *group) close() error {
	if g.cancel != nil {
		g.cancel()
		<-g.done
	}
	g.stopMove()
	return errors.Join(g.fills.close(), g.exports.close(), g.vault.Close(), g.replica.Close())
}

// become sets the state that people see, and tells it once.
func (g *group) become(ctx context.Context, state event.JournalState, reason string) {
	g.mu.Lock()
	changed := g.state != state || g.reason != reason
	g.state, g.reason = state, reason
	g.mu.Unlock()
	if changed {
		g.deps.Facts.StateChanged(ctx, g.id, state, reason)
	}
}

func (g *group) specNow() GroupSpec {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.spec
}

// clockNow is the offset of the source's clock as far as it is known.
func (g *group) clockNow() offset {
	g.mu.Lock()
	defer g.mu.Unlock()
	return best(g.clocks, g.deps.Clock.Now())
}

// points are the recovery points with their times on the target's clock.
func (g *group) points() []cdp.Point {
	ps := g.vault.Points()
	o := g.clockNow()
	for i := range ps {
		ps[i].Time, ps[i].Bound = o.target(ps[i].Time), o.Bound
	}
	return ps
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// runClock measures the source's clock for ever.
func (g *group) runClock(ctx context.Context) {
	for {
		wait := g.cfg.ClockEvery
		if !g.measureClock(ctx) {
			wait = min(wait, 2*g.cfg.Beat) // the source may just be starting
		}
		if !pause(ctx, wait) {
			return
		}
	}
}

// measureClock measures once; false if the source did not answer.
func (g *group) measureClock(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	sent := g.deps.Clock.Now()
	received, replied, err := g.deps.Capture.Clock(ctx, g.specNow().Source)
	back := g.deps.Clock.Now()
	if err != nil {
		return false // what was measured stays, and widens
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.clocks = append(g.clocks, measure(sent, time.Unix(0, received), time.Unix(0, replied), back))
	if len(g.clocks) > 16 {
		g.clocks = g.clocks[1:]
	}
	return true
}
