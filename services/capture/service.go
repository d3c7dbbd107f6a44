package capture

import (
	"context"
	"crypto/ed25519"
	"sync"

	"golang.org/x/sync/errgroup"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/engine/window"
)

// Service captures the groups of the jobs whose source is its site, whatever
// their target, and answers for them.
type Service struct {
	cfg        Config
	deps       Deps
	groups     *Groups
	jobs       keptJobs
	ports      *tapPorts
	lastPoints lastPoints
	traces     traces
	kept       keptFacts

	ctx    context.Context // of tasks; ends with Run's
	cancel context.CancelFunc
	ending sync.Mutex     // held to begin a task, and before tasks are waited for
	tasks  sync.WaitGroup // retries and last points
}

// Deps is what the service needs.
type Deps struct {
	Site      cdp.Site // the service's own
	Jobs      Jobs
	Runs      Runs
	TapBase   TapBase
	Streams   Streams
	Epochs    Epochs
	Journal   Journal
	Sums      Sums
	Snapshots Snapshots
	Machines  Machines
	Servers   DiskServers
	Key       ed25519.PrivateKey                                 // signs recovery points; nil: they are not signed
	Windows   *window.Budget                                     // nil: no limit
	Disk      func(path string, readOnly bool) (Disk, error)     // opens the image or block device at path
	Look      func(paths []string, closely bool) []api.DiskFacts // says what is at each of some paths; nil: nobody asks
	Events    Publisher
	Timings   Timings                                                 // nil: nobody hears how long writes take
	Join      func(ctx context.Context, trace string) context.Context // ctx within a trace; nil: nothing is traced
	Notify    func(err error, job string)                             // of what is tried again
	Clock     clock.Clock                                             // nil: the machine's
	Boot      string                                                  // "": this machine's boot id
}

// New makes the service; Run makes it work.
func New(cfg Config, deps Deps) (*Service, error) {
	if deps.Clock == nil {
		deps.Clock = clock.System
	}
	s := &Service{cfg: cfg.WithDefaults(), deps: deps}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.jobs = newKeptJobs()
	s.lastPoints.of = map[cdp.GroupID]*pendingPoint{}
	s.traces.asked = map[cdp.GroupID]context.Context{}
	var err error
	s.groups, err = NewGroups(s.cfg, GroupDeps{
		Stream: s.gate, Epochs: deps.Epochs, Journal: deps.Journal, Sums: deps.Sums, Events: listener{s},
		Snapshots: deps.Snapshots, Servers: deps.Servers, Key: deps.Key, Windows: deps.Windows, Disk: deps.Disk, Clock: deps.Clock, Boot: deps.Boot, Timings: deps.Timings})
	if err != nil {
		return nil, err
	}
	s.openKeptFacts()
	s.ports, err = openTapPorts(s.cfg.StateDir, func(err error) { s.notify(err, "") })
	return s, err
}

// Run keeps the jobs until ctx ends, then stops every group. A job's disks are
// served from the moment the job is known; they are replicated while it runs.
func (s *Service) Run(ctx context.Context) error {
	eg, ctx := errgroup.WithContext(ctx)
	defer s.saveKept() // also what the ends of groups and tasks told
	defer s.endTasks()
	defer context.AfterFunc(ctx, s.cancel)() // tasks do not wait for groups to drain
	eg.Go(func() error { return s.groups.Run(ctx) })
	eg.Go(func() error { return s.publishKept(ctx) })
	eg.Go(func() error {
		return ended(ctx, s.deps.Jobs.Watch(ctx, func(target cdp.Site, name string, j *spec.ReplicationJob) error {
			s.apply(ctx, jobKey{target, name}, j)
			return nil
		}))
	})
	eg.Go(func() error {
		return ended(ctx, s.deps.Runs.Watch(ctx, func(target cdp.Site, name string, running bool) error {
			s.jobs.setRunning(jobKey{target, name}, running)
			return nil
		}))
	})
	return eg.Wait()
}

// task runs f beside Run, which waits for it; not at all once Run ends.
func (s *Service) task(f func()) {
	s.ending.Lock()
	defer s.ending.Unlock()
	if s.ctx.Err() == nil {
		s.tasks.Go(f)
	}
}

func (s *Service) endTasks() {
	s.ending.Lock()
	s.cancel()
	s.ending.Unlock()
	s.tasks.Wait()
}

// ended drops an error that only says that ctx ended.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (s *Service) notify(err error, job string) {
	if s.deps.Notify != nil {
		s.deps.Notify(err, job)
	}
}

// emit publishes a fact, or says why not. That is no reason to stop.
func (s *Service) emit(p event.Payload) error {
	ctx, cancel := context.WithTimeout(context.Background(), s.cfg.EmitTimeout)
	defer cancel()
	err := s.deps.Events.Emit(ctx, p)
	if err != nil {
		s.notify(err, p.About())
	}
	return err
}
