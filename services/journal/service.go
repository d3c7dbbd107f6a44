package journal

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/engine/durable"
	"tidemark.dev/pkg/engine/wake"
)

// Service keeps the journals of the groups whose target is its site, whatever
// their source sites are.
type Service struct {
	cfg  Config
	deps Deps

	mu     sync.Mutex
	groups map[cdp.GroupID]*group
	wanted map[cdp.GroupID]*wanted // not open yet
	kick   wake.Bell
	scrubs chan struct{} // see scrubber.turn
	clocks *sourceClocks
	keys   *signers
	room   *diskRoom
}

// wanted is a group that is not open yet, and why.
type wanted struct {
	GroupSpec
	why  error
	kept bool // for its retention lock: its job may be gone
}

func (w *wanted) reason() error {
	if w.why == nil {
		return errors.New("it is being opened")
	}
	return w.why
}

func (w *wanted) state() event.JournalState {
	if w.why != nil && !cdp.Is(w.why, cdp.Transient) {
		return event.JournalFailed
	}
	return event.JournalWaiting
}

// New makes the service; Run makes it work.
func New(cfg Config, deps Deps) *Service {
	if deps.Memory == nil {
		deps.Memory = NewMemory(2 << 30)
	}
	if cfg.Vault.StepBytes == 0 {
		cfg.Vault.StepBytes = deps.Memory.step
	}
	cfg = cfg.withDefaults()
	return &Service{cfg: cfg, deps: deps, keys: &signers{dir: cfg.Signers}, room: newDiskRoom(cfg, deps), groups: map[cdp.GroupID]*group{},
		wanted: map[cdp.GroupID]*wanted{}, kick: wake.New(), scrubs: make(chan struct{}, 1), clocks: newSourceClocks(deps)}
}

// Run serves until ctx ends, then closes every journal. Groups that cannot be
// opened yet are tried again.
func (s *Service) Run(ctx context.Context) error {
	retry := s.deps.Clock.NewTimer(2 * s.cfg.Beat)
	defer retry.Stop()
	kept := s.wantKept()
	for {
		if kept != nil {
			kept = s.wantKept()
		}
		s.openWanted(ctx)
		s.restoreReserve()
		s.tendLocks(ctx)
		select {
		case <-ctx.Done():
			return s.closeAll()
		case <-s.kick:
		case <-retry.C():
		}
		retry.Reset(2 * s.cfg.Beat)
	}
}

func (s *Service) closeAll() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var mu sync.Mutex
	var errs []error
	var work errgroup.Group
	work.SetLimit(atOnce)
	for _, g := range s.groups {
		work.Go(func() error {
			err := g.close()
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err)
			return nil
		})
	}
	_ = work.Wait() // each error is in errs
	clear(s.groups)
	return errors.Join(errs...)
}

// Apply opens the group of a job, or updates what may change of an open one: mode,
// history, limit, pace of merges, and a longer retention lock.
func (s *Service) Apply(spec GroupSpec) {
	s.mu.Lock()
	g := s.groups[spec.Group]
	if g == nil {
		s.wanted[spec.Group] = &wanted{GroupSpec: spec}
		s.kick.Ring()
	}
	s.mu.Unlock()
	if g != nil {
		g.job.update(spec)
		g.keeper.news.Ring()
		g.applied(context.Background(), spec)
	}
}

// Remove closes a group and drops its journal; one that a retention lock holds stays
// until the lock is over. The replica's images stay.
func (s *Service) Remove(id cdp.GroupID) error {
	s.mu.Lock()
	left, kept, err := s.keeps(id)
	if !kept && err == nil {
		err = s.drop(id)
	}
	s.mu.Unlock()
	if left > 0 {
		s.deps.Facts.Alarm(context.Background(), id, AlarmLock, "the job was deleted, and the retention lock keeps its journal for another "+
			spec.Duration(left.Round(time.Second)).String()+": apply the job again to use its recovery points")
	}
	return err
}

// drop ends a group. The caller holds mu.
func (s *Service) drop(id cdp.GroupID) error {
	delete(s.wanted, id)
	if g := s.groups[id]; g != nil {
		delete(s.groups, id)
		if err := g.exports.closeOthers(""); err != nil {
			return err
		}
		if err := errors.Join(g.fills.stop(""), g.expects.drop()); err != nil {
			return err
		}
		if err := g.close(); err != nil {
			return err
		}
	}
	if err := s.deps.Stores.Drop(id); err != nil {
		return err
	}
	return errors.Join(durable.RemoveRecord(marksPath(s.cfg, id)), durable.RemoveRecord(lockPath(s.cfg, id)))
}

func (s *Service) group(id cdp.GroupID) (*group, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g := s.groups[id]; g != nil {
		return g, nil
	}
	if w, ok := s.wanted[id]; ok {
		return nil, (&cdp.Error{Op: "find journal", Kind: cdp.Transient, Subject: string(id), Cause: w.reason()}).
			WithHint("a new job waits for its source: is the capture service running, and the link up?")
	}
	return nil, cdp.Errorf(cdp.NotFound, "find journal", string(id), "there is no journal for this job")
}

// recoverable is group, for a request to recover something. A new job that waits
// for its source has nothing to recover, and there is no reason to try again.
func (s *Service) recoverable(id cdp.GroupID) (*group, error) {
	g, err := s.group(id)
	if cdp.Is(err, cdp.Transient) {
		if _, known, _ := s.deps.Stores.Known(id); !known {
			s.mu.Lock()
			defer s.mu.Unlock()
			why := ""
			if w := s.wanted[id]; w != nil {
				why = ": " + w.reason().Error()
			}
			return nil, cdp.Errorf(cdp.NotFound, "find journal", string(id), "there is no recovery point yet%s", why).WithHint(cdp.HintOf(err))
		}
	}
	return g, err
}
