package orchestrator

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/plan"
)

// Config is what an operator may set; zero fields take the default.
type Config struct {
	Site cdp.Site
	// PollEvery is the pause before a condition or a failover is looked at again.
	// Default 500 ms.
	PollEvery time.Duration
	// LookEvery is the pause before the triggers are looked at again. Default 2 s.
	LookEvery time.Duration
	// LookForPlans is the pause before it is looked again which plans are due to be
	// checked. Default 1 min.
	LookForPlans time.Duration
	// ReportFresh is how old a witness's report may be to count. Default 30 s.
	ReportFresh time.Duration
	// RequestTimeout bounds one request to another service. Default 20 s.
	RequestTimeout time.Duration
	// Margin is how long before its time is over a task that is tried again gives up, so
	// that its reason is heard in time. Default 100 ms.
	Margin time.Duration
	// RetryMin and RetryMax bound the pause after a failure that may pass. Default
	// 500 ms, 5 s.
	RetryMin, RetryMax time.Duration
}

// Deps are the ports. Tracer and Notify may be nil.
type Deps struct {
	Plans     Plans
	Checks    Checks
	Runs      Runs
	Triggers  Triggers
	Witnesses Witnesses
	Lease     Lease
	Jobs      Jobs
	VMs       VMs
	Failovers Failovers
	Returns   Returns
	World     World
	Outside   Outside
	Guests    Guests
	Events    Events
	Clock     clock.Clock
	Tracer    Tracer
	// Notify takes errors of what will be tried again.
	Notify func(error)
}

// Service is the orchestrator.
type Service struct {
	cfg  Config
	deps Deps
	// writes is held while a plan is checked and written.
	writes sync.Mutex
	active *active
}

// New makes the service.
func New(cfg Config, deps Deps) *Service {
	for d, v := range map[*time.Duration]time.Duration{
		&cfg.PollEvery: 500 * time.Millisecond, &cfg.LookEvery: 2 * time.Second, &cfg.LookForPlans: time.Minute, &cfg.ReportFresh: 30 * time.Second, &cfg.RequestTimeout: 20 * time.Second, &cfg.Margin: 100 * time.Millisecond,
		&cfg.RetryMin: 500 * time.Millisecond, &cfg.RetryMax: 5 * time.Second,
	} {
		if *d == 0 {
			*d = v
		}
	}
	if deps.Notify == nil {
		deps.Notify = func(error) {}
	}
	if deps.Tracer == nil {
		deps.Tracer = untraced{}
	}
	return &Service{cfg: cfg, deps: deps, active: newActive()}
}

// Endpoints are what the service answers.
func (s *Service) Endpoints() map[string]api.Endpoint {
	return map[string]api.Endpoint{
		api.PlanApply:   api.Answer(func(ctx context.Context, r api.ApplyRequest) (any, error) { return s.apply(ctx, r) }),
		api.PlanDelete:  api.Answer(func(ctx context.Context, r api.PlanRequest) (any, error) { return api.Empty{}, s.delete(ctx, r.Plan) }),
		api.PlanCheck:   api.Answer(s.check),
		api.PlanWitness: api.Answer(func(ctx context.Context, r api.WitnessReport) (any, error) { return api.Empty{}, s.hear(ctx, r) }),
	}
}

// Run drives the runs of the site's plans, watches their triggers and checks the plans
// until ctx ends; the error is ctx's, or what broke. Without a run in progress and
// without triggers no lease is held.
func (s *Service) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		return s.deps.Runs.Watch(ctx, func(r plan.Run) error { s.active.see(r); return nil })
	})
	g.Go(func() error {
		return s.deps.Plans.Watch(ctx, func(name string, p *spec.Plan) error { s.active.arm(name, p); return nil })
	})
	g.Go(func() error { return s.verifyPlans(ctx) })
	g.Go(func() error {
		for {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-s.active.begun:
			}
			for s.active.any() {
				if err := s.deps.Lease.Hold(ctx, s.lead); err != nil && ctx.Err() == nil {
					s.deps.Notify(err)
				}
				if ctx.Err() != nil {
					return ctx.Err()
				}
			}
		}
	})
	return g.Wait()
}

// lead drives all runs that are in progress, and those that begin meanwhile, and
// watches the triggers, until there are neither or ctx ends.
func (s *Service) lead(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	done, driven := make(chan string), map[string]bool{}
	wg.Go(func() { s.watchTriggers(ctx) })
	for {
		for _, name := range s.active.names() {
			if driven[name] {
				continue
			}
			driven[name] = true
			wg.Go(func() {
				s.keepDriving(ctx, name)
				select {
				case done <- name:
				case <-ctx.Done():
				}
			})
		}
		if len(driven) == 0 && len(s.active.triggers()) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case name := <-done:
			delete(driven, name)
		case <-s.active.begun:
		}
	}
}

func (s *Service) backoff() *clock.Backoff {
	return &clock.Backoff{Clock: s.deps.Clock, Min: s.cfg.RetryMin, Max: s.cfg.RetryMax}
}
