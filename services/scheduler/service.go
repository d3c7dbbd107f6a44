package scheduler

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/jobrules"
)

// Config is what an operator may say.
type Config struct {
	// Here is this site, and the sites that it has links with.
	Here jobrules.Here
	// MarkTimeout bounds the sending of one mark. Default 3 s.
	MarkTimeout time.Duration
	// AskTimeout bounds a question to a source site. Default 2 s.
	AskTimeout time.Duration
}

// Deps are the ports. Trace and Notify may be nil.
type Deps struct {
	Jobs      Jobs
	VMJobs    Specs[spec.VMJob]
	Runs      Runs
	Bad       BadEntries
	Failovers Failovers
	Linked    Linked
	Approvals Approvals // nil: nothing needs an approval
	Journal   Journal
	Disks     Disks
	VMs       VMs
	Marks     Marks
	Sources   Sources
	Events    Events
	Clock     clock.Clock
	Trace     Trace
	// Notify is given marks that were not sent, and must not block.
	Notify func(error)
}

// Service is the scheduler.
type Service struct {
	cfg  Config
	deps Deps
	beat *beat
	seen seen
	// writes is held from the check of a job to its being written, so that two
	// requests cannot take one name.
	writes sync.Mutex
}

// New makes a scheduler.
func New(cfg Config, deps Deps) *Service {
	if cfg.MarkTimeout == 0 {
		cfg.MarkTimeout = 3 * time.Second
	}
	if cfg.AskTimeout == 0 {
		cfg.AskTimeout = 2 * time.Second
	}
	if deps.Trace == nil {
		deps.Trace = func(context.Context, string) (string, func(error)) { return "", func(error) {} }
	}
	if deps.Notify == nil {
		deps.Notify = func(error) {}
	}
	return &Service{cfg: cfg, deps: deps, beat: newBeat(), seen: seen{clock: deps.Clock}}
}

// Run keeps the cadence until ctx ends; the error is ctx's, or what broke.
func (s *Service) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.deps.Jobs.Watch(ctx, s.onJob(ctx)) })
	g.Go(func() error { return s.deps.Runs.Watch(ctx, s.onRun) })
	g.Go(func() error { return s.deps.Bad.Watch(ctx, s.onBadEntry(ctx)) })
	g.Go(func() error { return s.keep(ctx) })
	return g.Wait()
}
