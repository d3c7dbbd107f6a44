package journal

import (
	"context"
	"errors"
	"sync"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
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
}

// wanted is a group that is not open yet, and why.
type wanted struct {
	GroupSpec
	why error
}

func (w *wanted) reason() error {
	if w.why == nil {
		return errors.New("it is being opened")
	}
	return w.why
}

// New makes the service; Run makes it work.
func New(cfg Config, deps Deps) *Service {
	if deps.Memory == nil {
		deps.Memory = NewMemory(2 << 30)
	}
	if cfg.Vault.StepBytes == 0 {
		cfg.Vault.StepBytes = deps.Memory.step
	}
	return &Service{cfg: cfg.withDefaults(), deps: deps, groups: map[cdp.GroupID]*group{},
		wanted: map[cdp.GroupID]*wanted{}, kick: wake.New(), scrubs: make(chan struct{}, 1)}
}

// Run serves until ctx ends, then closes every journal. Groups that cannot be
// opened yet are tried again.
func (s *Service) Run(ctx context.Context) error {
	retry := s.deps.Clock.NewTimer(2 * s.cfg.Beat)
	defer retry.Stop()
	for {
		s.openWanted(ctx)
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
	var errs []error
	for id, g := range s.groups {
		errs = append(errs, g.close())
		delete(s.groups, id)
	}
	return errors.Join(errs...)
}

// Apply opens the group of a job, or updates what may change of an open one: mode,
// history, limit, pace of merges.
func (s *Service) Apply(spec GroupSpec) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g := s.groups[spec.Group]; g != nil {
		g.job.update(spec)
		return
	}
	s.wanted[spec.Group] = &wanted{GroupSpec: spec}
	s.kick.Ring()
}

// Remove closes a group and drops its journal. The replica's images stay.
func (s *Service) Remove(id cdp.GroupID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.wanted, id)
	if g := s.groups[id]; g != nil {
		delete(s.groups, id)
		for _, e := range g.exports.list() {
			if err := g.exports.closeView(e.ID); err != nil {
				return err
			}
		}
		if err := g.fills.stop(""); err != nil {
			return err
		}
		if err := g.close(); err != nil {
			return err
		}
	}
	return s.deps.Stores.Drop(id)
}

func (s *Service) openWanted(ctx context.Context) {
	s.mu.Lock()
	specs := make([]GroupSpec, 0, len(s.wanted))
	for _, w := range s.wanted {
		specs = append(specs, w.GroupSpec)
	}
	s.mu.Unlock()
	for _, spec := range specs {
		g, err := s.openOne(ctx, spec)
		if err != nil {
			s.notOpened(ctx, spec.Group, err)
			continue
		}
		gctx, cancel := context.WithCancel(ctx)
		g.cancel = cancel
		s.mu.Lock()
		_, still := s.wanted[spec.Group]
		delete(s.wanted, spec.Group)
		if still {
			s.groups[spec.Group] = g
		}
		s.mu.Unlock()
		if !still { // removed meanwhile
			cancel()
			close(g.done)
			if err := g.close(); err != nil {
				s.deps.Facts.StateChanged(ctx, spec.Group, event.JournalFailed, err.Error())
			}
			continue
		}
		go g.run(gctx)
	}
}

// notOpened notes why a group cannot be opened, and reports it once.
func (s *Service) notOpened(ctx context.Context, id cdp.GroupID, why error) {
	s.mu.Lock()
	w := s.wanted[id]
	changed := w != nil && (w.why == nil || w.why.Error() != why.Error())
	if w != nil {
		w.why = why
	}
	s.mu.Unlock()
	if changed && !cdp.Is(why, cdp.Transient) {
		s.deps.Facts.StateChanged(ctx, id, event.JournalFailed, why.Error())
	}
}

// openOne opens a group. A new one needs the source, which knows its disks.
func (s *Service) openOne(ctx context.Context, spec GroupSpec) (*group, error) {
	disks, known, err := s.deps.Stores.Known(spec.Group)
	if err != nil {
		return nil, err
	}
	if !known {
		actx, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		disks, err = s.deps.Capture.Disks(actx, spec.Source, spec.Group)
		if err == nil && len(disks) == 0 || cdp.Is(err, cdp.NotFound) {
			err = cdp.Errorf(cdp.Transient, "open journal", string(spec.Group), "the source has not reported its disks yet")
		}
		if err != nil {
			return nil, err
		}
	}
	g, err := openGroup(ctx, s.cfg, s.deps, spec, disks, !known)
	if err == nil {
		g.scrub = &scrubber{cfg: s.cfg, deps: s.deps, vault: g.vault, turn: s.scrubs}
	}
	return g, err
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
