package journal

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/engine/vault"
	"tidemark.dev/pkg/engine/wake"
)

// group is an open journal. It joins the parts that work on it.
type group struct {
	deps Deps
	job  *job

	vault   *vault.Group
	replica *images
	exports *exports
	fills   *filler
	expects *expected
	state   *shownState
	clock   *sourceClock
	times   *times
	lock    *lock
	intake  *intake
	keeper  *housekeeper
	scrub   *scrubber
	base    *baseMove

	cancel context.CancelFunc
	done   chan struct{} // closed once run has returned
}

// job is what a job says to its journal; some of it changes while it is open.
type job struct {
	id cdp.GroupID

	mu   sync.Mutex
	spec GroupSpec
}

func (j *job) now() GroupSpec {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.spec
}

// update takes over what may change while the journal is open. Disks only grow, and
// become more; see intake.grow.
func (j *job) update(s GroupSpec) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.spec.Names, j.spec.Sizes, j.spec.Paths, j.spec.Removed = s.Names, s.Sizes, s.Paths, s.Removed
	j.spec.Mode, j.spec.History, j.spec.Limit, j.spec.MergeEvery = s.Mode, s.History, s.Limit, s.MergeEvery
}

// shownState is the state that people see.
type shownState struct {
	facts Facts
	id    cdp.GroupID

	mu     sync.Mutex
	state  event.JournalState
	reason string
}

// set sets the state, and reports a change once.
func (s *shownState) set(ctx context.Context, state event.JournalState, reason string) {
	s.mu.Lock()
	changed := s.state != state || s.reason != reason
	s.state, s.reason = state, reason
	s.mu.Unlock()
	if changed {
		s.facts.StateChanged(ctx, s.id, state, reason)
	}
}

func (s *shownState) get() (event.JournalState, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state, s.reason
}

// openGroup opens a journal, with its exports and its fill that survived.
func openGroup(ctx context.Context, cfg Config, deps Deps, clocks *sourceClocks, spec GroupSpec, disks []cdp.Disk, fresh bool) (*group, error) {
	const op = "open journal"
	rec, err := readLock(ctx, cfg, deps, spec.Group)
	if err != nil {
		return nil, err
	}
	spec = rec.bound(spec)
	if fresh && len(spec.Paths) != len(disks) || len(spec.Paths) < len(disks) {
		return nil, cdp.Errorf(cdp.Invalid, op, string(spec.Group), "the job has %d replica paths, the source %d disks", len(spec.Paths), len(disks)).
			WithHint("give each disk of the source one disk of the target")
	}
	source, err := deps.Streams.Source(spec.Source, spec.Group)
	if err != nil {
		return nil, err
	}
	from := newSourceClock(cfg, deps, clocks, spec)
	held := newLock(cfg, spec.Group, rec, from)
	at := held.times
	cfg.Vault.Stamp, cfg.Vault.Held = at.stamp, held.held
	r, v, err := openVault(ctx, cfg, deps, spec, disks, fresh)
	if err != nil {
		return nil, err
	}
	j := &job{id: spec.Group, spec: spec}
	g := &group{deps: deps, job: j, vault: v, replica: r, done: make(chan struct{}),
		state: &shownState{facts: deps.Facts, id: j.id, state: event.JournalEmpty},
		clock: from, times: at, lock: held,
		base: &baseMove{id: j.id, vault: v}}
	size := &quota{cfg: cfg, clock: deps.Clock, job: j, vault: v}
	g.intake = &intake{quota: size, cfg: cfg, deps: deps, id: j.id, vault: v, source: source, state: g.state, clock: from, times: at, lock: held, news: wake.New(), stored: wake.New()}
	g.keeper = &housekeeper{quota: size, cfg: cfg, deps: deps, job: j, vault: v, lock: held, marks: newMarks(cfg, j.id, v), news: g.intake.stored, points: func(now time.Time) []cdp.Point { return at.aged(g.points(), now) }}
	g.keeper.restart = g.intake.restart
	if g.exports, err = openExports(cfg, deps, j.id, v); err != nil {
		return nil, errors.Join(err, v.Close(), r.Close())
	}
	if err := g.takeBackToAbsorb(); err != nil {
		return nil, errors.Join(err, g.exports.close(), v.Close(), r.Close())
	}
	if g.fills, err = openFiller(cfg, deps, spec, v); err != nil {
		return nil, errors.Join(err, g.exports.close(), v.Close(), r.Close())
	}
	if g.expects, err = openExpected(ctx, cfg, deps, j.id, v); err != nil {
		return nil, errors.Join(err, g.fills.close(), g.exports.close(), v.Close(), r.Close())
	}
	g.intake.expects, g.intake.job, g.intake.replica = g.expects, j, r
	g.keeper.files = func() error { return errors.Join(g.exports.damage(), g.fills.damaged) }
	if v.Stored().No > 0 {
		g.state.state = event.JournalReceiving
	}
	g.intake.readNewest()
	return g, nil
}

// openVault opens the replica's images and the journal over them.
func openVault(ctx context.Context, cfg Config, deps Deps, spec GroupSpec, disks []cdp.Disk, fresh bool) (r *images, v *vault.Group, err error) {
	paths := spec.Paths[:len(disks)]
	r = &images{disks: disks, paths: paths, open: func(disks []cdp.Disk, paths []string) (Replica, error) {
		return deps.Replicas.Open(disks, paths, false)
	}}
	// A new group's images first, since they may be refused.
	if fresh {
		if r.r, err = deps.Replicas.Open(disks, paths, !spec.Adopt); err != nil {
			return nil, nil, err
		}
	}
	store, err := deps.Stores.Open(spec.Group, disks)
	if err != nil {
		return nil, nil, errors.Join(err, r.Close())
	}
	l, err := store.Load()
	if err == nil && !l.State.Released && !l.State.Sealed {
		err = r.takeBack()
	}
	if err == nil {
		engine := cfg.Vault
		engine.Clock, engine.Adopted = deps.Clock, spec.Adopt
		v, err = vault.Open(ctx, disks, store, r, engine)
	}
	if cdp.Is(err, cdp.Corrupt) && cdp.HintOf(err) == "" {
		err = &cdp.Error{Op: "open journal", Kind: cdp.Corrupt, Subject: string(spec.Group), Cause: fmt.Errorf("its store is damaged: %w", err),
			Hint: "stop the journal service, and see what still reads: tidemark repair " + string(spec.Group)}
	}
	if err != nil {
		return nil, nil, errors.Join(err, r.Close())
	}
	return r, v, nil
}

// takeBackToAbsorb opens the images of a sealed journal if a commit that ended halfway
// still has to write an export to them. Otherwise they are the disks of somebody else,
// and stay closed.
func (g *group) takeBackToAbsorb() error {
	if st := g.vault.State(); !st.Sealed || st.Released || len(g.exports.open)+len(g.exports.waiting) == 0 {
		return nil
	}
	return g.replica.takeBack()
}

// run is the group's life until ctx ends: frames in, policy, clock.
func (g *group) run(ctx context.Context) {
	defer close(g.done)
	eg, ctx := errgroup.WithContext(ctx)
	eg.Go(func() error { g.intake.run(ctx); return nil })
	eg.Go(func() error { g.keeper.run(ctx); return nil })
	eg.Go(func() error { g.clock.run(ctx); return nil })
	eg.Go(func() error { g.scrub.run(ctx); return nil })
	eg.Go(func() error { g.exports.run(ctx, 10*g.keeper.cfg.Beat); return nil })
	eg.Wait()
}

// close ends the group's life and waits for it.
func (g *group) close() error {
	if g.cancel != nil {
		g.cancel()
		<-g.done
	}
	g.base.stop()
	return errors.Join(g.lock.tend(true), g.fills.close(), g.exports.close(), g.vault.Close(), g.replica.Close())
}
