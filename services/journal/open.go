package journal

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
)

// atOnce is how many journals are opened or closed at a time: each waits for the disk
// a few times, and a site has hundreds.
const atOnce = 8

// round is one attempt to open what is wanted.
type round struct {
	mu sync.Mutex
	// silent are the sources that did not answer, and why: they are not asked about
	// each of their groups.
	silent map[cdp.Site]error
}

func (r *round) silence(site cdp.Site) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.silent[site]
}

func (r *round) note(site cdp.Site, why error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.silent[site] = why
}

func (s *Service) openWanted(ctx context.Context) {
	s.mu.Lock()
	specs := make([]GroupSpec, 0, len(s.wanted))
	for _, w := range s.wanted {
		specs = append(specs, w.GroupSpec)
	}
	s.mu.Unlock()
	r := &round{silent: map[cdp.Site]error{}}
	var work errgroup.Group
	work.SetLimit(atOnce)
	for _, spec := range specs {
		work.Go(func() error {
			if ctx.Err() == nil {
				s.tryOpen(ctx, r, spec)
			}
			return nil
		})
	}
	_ = work.Wait() // what failed is noted, and tried again
}

// tryOpen opens one group, and starts its life.
func (s *Service) tryOpen(ctx context.Context, r *round, spec GroupSpec) {
	g, err := s.openOne(ctx, r, spec)
	if err != nil {
		s.notOpened(ctx, spec.Group, err)
		return
	}
	gctx, cancel := context.WithCancel(ctx)
	g.cancel = cancel
	s.mu.Lock()
	w, still := s.wanted[spec.Group]
	delete(s.wanted, spec.Group)
	if still {
		g.job.update(w.GroupSpec) // it may have changed meanwhile
		s.groups[spec.Group] = g
	}
	s.mu.Unlock()
	if !still { // removed meanwhile
		cancel()
		close(g.done)
		if err := g.close(); err != nil {
			s.deps.Facts.StateChanged(ctx, spec.Group, event.JournalFailed, err.Error())
		}
		return
	}
	if !w.kept {
		g.applied(ctx, w.GroupSpec)
	}
	go g.run(gctx)
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
func (s *Service) openOne(ctx context.Context, r *round, spec GroupSpec) (*group, error) {
	disks, known, err := s.deps.Stores.Known(spec.Group)
	if err != nil {
		return nil, err
	}
	if !known {
		if disks, err = s.disks(ctx, r, spec); err != nil {
			return nil, err
		}
	}
	g, err := openGroup(ctx, s.cfg, s.deps, s.clocks, spec, disks, !known)
	if err == nil {
		g.intake.signed = &signatures{group: spec.Group, site: spec.Source, facts: s.deps.Facts, signers: s.keys}
		g.intake.quota.disk = s.room
		g.scrub = &scrubber{cfg: s.cfg, deps: s.deps, vault: g.vault, turn: s.scrubs}
	}
	return g, err
}

// disks asks the source of a new group for its disks.
func (s *Service) disks(ctx context.Context, r *round, spec GroupSpec) ([]cdp.Disk, error) {
	if err := r.silence(spec.Source); err != nil {
		return nil, err
	}
	actx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	disks, err := s.deps.Capture.Disks(actx, spec.Source, spec.Group)
	if err == nil && len(disks) == 0 || cdp.Is(err, cdp.NotFound) {
		return nil, cdp.Errorf(cdp.Transient, "open journal", string(spec.Group), "the source has not reported its disks yet")
	}
	if actx.Err() != nil {
		r.note(spec.Source, err)
	}
	return disks, err
}
