package failover

import (
	"context"
	"errors"
	"sync"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/engine/wake"
)

// Config is what an operator may set; zero fields take the default.
type Config struct {
	// SourceTimeout is how long to wait for a source that may be gone.
	// Default 1 s.
	SourceTimeout time.Duration
	// StepTimeout bounds one request of a step. Default 20 s.
	StepTimeout time.Duration
	// PollEvery is the pause before a step that is in progress is asked again.
	// Default 200 ms.
	PollEvery time.Duration
	// Grace is how long a client that is connected is waited for, before what would
	// take its disks away is refused. Default 3 s.
	Grace time.Duration
	// OwedMax bounds the pause before a source that does not answer is asked again for
	// what is owed there. Default 10 s.
	OwedMax time.Duration
	// RetryMin and RetryMax bound the pause after a failure. 250 ms, 5 s.
	RetryMin, RetryMax time.Duration
}

// Deps are the ports. Tracer and Notify may be nil.
type Deps struct {
	Jobs    Jobs
	Records Records
	// Lease: nil, this is the only failover service of the site.
	Lease   Lease
	Journal Journal
	Exports Exports
	Replica Replica
	VMs     VMs
	Source  Source
	Events  Events
	// Approvals: nil, nothing needs an approval.
	Approvals Approvals
	Clock     clock.Clock // of the target site
	Tracer    Tracer
	// Notify takes errors of what will be tried again.
	Notify func(error)
}

// Service drives failover runs.
type Service struct {
	cfg  Config
	deps Deps

	mu    sync.Mutex
	ctx   context.Context     // while this service drives the runs; else nil
	kicks map[string]jobBells // by job
	wg    sync.WaitGroup
}

// jobBells wake the goroutines of a job: one drives its runs, one does what is owed at
// its source, which no run waits for, and one watches the commit window.
type jobBells struct{ run, owed, window wake.Bell }

// New makes the service.
func New(cfg Config, deps Deps) *Service {
	for d, v := range map[*time.Duration]time.Duration{
		&cfg.SourceTimeout: time.Second, &cfg.StepTimeout: 20 * time.Second, &cfg.PollEvery: 200 * time.Millisecond, &cfg.Grace: 3 * time.Second,
		&cfg.OwedMax:  10 * time.Second,
		&cfg.RetryMin: 250 * time.Millisecond, &cfg.RetryMax: 5 * time.Second,
	} {
		if *d == 0 {
			*d = v
		}
	}
	if deps.Tracer == nil {
		deps.Tracer = untraced{}
	}
	if deps.Lease == nil {
		deps.Lease = alone{}
	}
	if deps.Notify == nil {
		deps.Notify = func(error) {}
	}
	return &Service{cfg: cfg, deps: deps, kicks: map[string]jobBells{}}
}

// Run drives the runs on record, and those that begin, whenever this service holds the lease
// of its site, until ctx ends; the error is ctx's.
func (s *Service) Run(ctx context.Context) error {
	for retry := s.backoff(); ; {
		err := s.deps.Lease.Hold(ctx, s.lead)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil && !errors.Is(err, context.Canceled) {
			s.deps.Notify(cdp.Wrap(err, "take the lease of failovers", ""))
		}
		if err := retry.Wait(ctx); err != nil {
			return err
		}
	}
}

// lead drives runs until ctx ends.
func (s *Service) lead(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer s.wg.Wait()
	defer func() { // a request that still comes begins nothing
		s.mu.Lock()
		s.ctx = nil
		s.mu.Unlock()
	}()
	defer cancel()
	s.mu.Lock()
	s.ctx = ctx
	for job := range s.kicks { // kicked before
		s.start(job)
	}
	s.mu.Unlock()
	for retry := s.backoff(); ; {
		err := s.deps.Records.Watch(ctx, s.kick)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s.deps.Notify(cdp.Wrap(err, "watch failover runs", ""))
		if err := retry.Wait(ctx); err != nil {
			return err
		}
	}
}

// kick makes sure that the job's record is looked at.
func (s *Service) kick(job string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, known := s.kicks[job]
	if !known {
		k = jobBells{wake.New(), wake.New(), wake.New()}
		s.kicks[job] = k
		if s.ctx != nil {
			s.start(job)
		}
	}
	k.run.Ring()
	k.owed.Ring()
	k.window.Ring()
}

// doubt makes sure that the job's run is looked at after a write of which nobody knows
// whether it was made. If it was, nobody else would do what the record says then.
func (s *Service) doubt(job string) {
	s.mu.Lock()
	k, known := s.kicks[job]
	s.mu.Unlock()
	if !known {
		s.kick(job)
		return
	}
	k.run.Ring()
}

// kickBeside makes sure that what the job's run does beside its steps is looked at: what
// it owes at its source, and its commit window.
func (s *Service) kickBeside(job string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k, known := s.kicks[job]; known {
		k.owed.Ring()
		k.window.Ring()
	}
}

// start starts the goroutines of a job.
func (s *Service) start(job string) {
	ctx, k := s.ctx, s.kicks[job]
	each := func(bell wake.Bell, do func(context.Context, string)) {
		s.wg.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case <-bell:
					do(ctx, job)
				}
			}
		})
	}
	each(k.run, s.drive)
	each(k.owed, s.settle)
	each(k.window, func(ctx context.Context, job string) { s.watch(ctx, job, k.window) })
}

func (s *Service) backoff() *clock.Backoff {
	return &clock.Backoff{Clock: s.deps.Clock, Min: s.cfg.RetryMin, Max: s.cfg.RetryMax}
}
