package failover

import (
	"context"
	"sync"
	"time"

	"tidemark.dev/pkg/cdp"
)

// Config is what an operator may say; zero fields take the default.
type Config struct {
	// SourceTimeout is how long the source is waited for when it may be gone.
	// Default 1 s.
	SourceTimeout time.Duration
	// StepTimeout bounds one request of a step. Default 20 s.
	StepTimeout time.Duration
	// PollEvery is between two looks at a step that takes long. Default 200 ms.
	PollEvery time.Duration
	// RetryMin and RetryMax bound the pause after a failure. 250 ms, 5 s.
	RetryMin, RetryMax time.Duration
}

// Deps are the ports. Tracer and Notify may be nil.
type Deps struct {
	Jobs    Jobs
	Records Records
	Journal Journal
	Exports Exports
	Replica Replica
	VMs     VMs
	Source  Source
	Events  Events
	Clock   Clock
	Tracer  Tracer
	// Notify is told what failed and will be tried again.
	Notify func(error)
}

// Service drives failover runs.
type Service struct {
	cfg  Config
	deps Deps

	mu    sync.Mutex
	ctx   context.Context // of Run; nil before
	kicks map[string]chan struct{}
	wg    sync.WaitGroup
}

// New makes the service.
func New(cfg Config, deps Deps) *Service {
	for d, v := range map[*time.Duration]time.Duration{
		&cfg.SourceTimeout: time.Second, &cfg.StepTimeout: 20 * time.Second, &cfg.PollEvery: 200 * time.Millisecond,
		&cfg.RetryMin: 250 * time.Millisecond, &cfg.RetryMax: 5 * time.Second,
	} {
		if *d == 0 {
			*d = v
		}
	}
	if deps.Tracer == nil {
		deps.Tracer = untraced{}
	}
	if deps.Notify == nil {
		deps.Notify = func(error) {}
	}
	return &Service{cfg: cfg, deps: deps, kicks: map[string]chan struct{}{}}
}

// Run takes up the runs that are recorded, and those that begin, until ctx
// ends; the error is ctx's.
func (s *Service) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer s.wg.Wait()
	defer cancel()
	s.mu.Lock()
	s.ctx = ctx
	for job := range s.kicks { // asked for before we ran
		s.start(job)
	}
	s.mu.Unlock()
	for wait := s.cfg.RetryMin; ; wait = min(2*wait, s.cfg.RetryMax) {
		jobs, err := s.deps.Records.List(ctx)
		if err == nil {
			for _, job := range jobs {
				s.kick(job)
			}
			break
		}
		if ctx.Err() == nil {
			s.deps.Notify(cdp.Wrap(err, "take up failover runs", ""))
		}
		if !s.pause(ctx, wait) {
			return ctx.Err()
		}
	}
	<-ctx.Done()
	return ctx.Err()
}

// kick makes sure that somebody looks at the job's record.
func (s *Service) kick(job string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.kicks[job]
	if k == nil {
		k = make(chan struct{}, 1)
		s.kicks[job] = k
		if s.ctx != nil {
			s.start(job)
		}
	}
	select {
	case k <- struct{}{}:
	default:
	}
}

// start starts the one goroutine that drives a job's runs.
func (s *Service) start(job string) {
	ctx, k := s.ctx, s.kicks[job]
	s.wg.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-k:
				s.drive(ctx, job)
			}
		}
	})
}

func (s *Service) pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-s.deps.Clock.After(d):
		return true
	}
}
