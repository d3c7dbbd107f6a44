package rpomonitor

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"tidemark.dev/pkg/clock"
)

// Config is what an operator may set; zero fields take the default.
type Config struct {
	Every time.Duration // between measurements; default 1 s
	// TellEvery is the least time between two rpo.measured of a job, if its RPO is
	// not longer; every job of the site adds tellCost to it. Default 10 s.
	TellEvery time.Duration
	// AskTimeout bounds one request to the journal. Default 1 s.
	AskTimeout time.Duration
}

// Deps are the ports. Notify may be nil.
type Deps struct {
	Jobs    Jobs
	Runs    Runs
	Journal Journal
	Points  Points
	Records Records
	Events  Events
	Clock   clock.Clock // of the target site
	// Notify takes errors of what will be tried again.
	Notify func(error)
}

// Service is the monitor.
type Service struct {
	cfg   Config
	deps  Deps
	known *known
	// Of the one goroutine that measures:
	mem   map[string]*memory // by job
	heard time.Time          // when the journal last answered
	due   time.Time          // when it is asked again
	// tellEvery is the configured time with what the jobs add to it.
	tellEvery time.Duration
}

// askCost is the time between two questions to the journal that each job adds: its
// answer has a part for each, and points are reported as they come.
const askCost = 5 * time.Millisecond

// tellCost is the time between two rpo.measured of a job that each job adds, so that
// all jobs of a site together emit two a second at most. Both sites store each of them,
// and nobody needs them to know an RPO: the records have that of every second.
const tellCost = 500 * time.Millisecond

// New makes a monitor.
func New(cfg Config, deps Deps) *Service {
	for d, v := range map[*time.Duration]time.Duration{&cfg.Every: time.Second, &cfg.TellEvery: 10 * time.Second, &cfg.AskTimeout: time.Second} {
		if *d == 0 {
			*d = v
		}
	}
	if deps.Notify == nil {
		deps.Notify = func(error) {}
	}
	return &Service{cfg: cfg, deps: deps, known: newKnown(), mem: map[string]*memory{}}
}

// Run measures until ctx ends; the error is ctx's, or that of a port that failed
// for good.
func (s *Service) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.deps.Jobs.Watch(ctx, s.known.onJob) })
	g.Go(func() error { return s.deps.Runs.Watch(ctx, s.known.onRun) })
	g.Go(func() error { return s.deps.Points.Watch(ctx, s.known.onPoint) })
	g.Go(func() error {
		for {
			if err := clock.Sleep(ctx, s.deps.Clock, s.cfg.Every); err != nil {
				return err
			}
			s.ask(ctx)
			s.measure(ctx)
		}
	})
	return g.Wait()
}

// ask asks the journal for the newest points, the less often the more jobs there are. If
// it does not answer, what is known stays.
func (s *Service) ask(ctx context.Context) {
	if s.deps.Clock.Now().Before(s.due) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.AskTimeout)
	defer cancel()
	groups, err := s.deps.Journal.Newest(ctx)
	if err != nil {
		s.deps.Notify(err)
		return
	}
	s.heard = s.deps.Clock.Now()
	s.due = s.heard.Add(time.Duration(len(groups)) * askCost)
	s.known.onAnswer(groups, s.heard)
}
