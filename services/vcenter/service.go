package vcenter

import (
	"context"
	"sync"
	"sync/atomic"

	"tidemark.dev/pkg/contract/api"
)

// Service holds a site's vCenter.
type Service struct {
	cfg   Config
	deps  Deps
	lanes *lanes
	locks locks
	seen  seen
	known known
	stop  context.CancelFunc
	// unheard: there may be transporters that did not answer while they were
	// waited for.
	unheard atomic.Bool

	mu   sync.Mutex
	jobs map[string]*control // jobs on VMs whose target is here
}

// New makes the service; Run makes it work.
func New(cfg Config, deps Deps) *Service {
	cfg = cfg.withDefaults()
	if deps.Prober == nil {
		deps.Prober = NetProber{}
	}
	if deps.Notify == nil {
		deps.Notify = func(error) {}
	}
	base, stop := context.WithCancel(context.Background())
	s := &Service{cfg: cfg, deps: deps, stop: stop, jobs: map[string]*control{},
		lanes: newLanes(base, cfg.Patience, cfg.Longest)}
	s.unheard.Store(true) // as the last process may have left it
	return s
}

// Run keeps the jobs on VMs until ctx ends; then it waits for all work that is
// under way to stop. What was interrupted goes on when it is asked for again.
func (s *Service) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(ctx)
	wg.Go(func() { s.watchVCenter(ctx) })
	wg.Go(func() { s.hearLate(ctx) })
	err := s.watchJobs(ctx)
	cancel()
	s.stop()
	wg.Wait()
	s.lanes.wg.Wait()
	return err
}

// Endpoints are what the service answers, by the names in package api.
func (s *Service) Endpoints() map[string]api.Endpoint {
	return map[string]api.Endpoint{
		api.VCenterInventory: api.Answer(s.answerInventory),
		api.VCenterVMs:       api.Answer(s.answerVMs),
		api.VCenterCheck:     api.Answer(s.answerCheck),
		api.VCenterClocks:    api.Answer(s.answerClocks),
		api.VCenterMembers:   api.Answer(s.answerMembers),

		api.VMFreeze:  api.Answer(s.freeze),
		api.VMChanged: api.Answer(s.changed),
		api.VMThaw:    api.Answer(s.thaw),
		api.VMPower:   api.Answer(s.power),
		api.VMTap:     api.Answer(s.tap),

		api.VMJobCheck:  api.Answer(s.jobCheck),
		api.VMJobRun:    api.Answer(s.jobRun),
		api.VMJobStop:   api.Answer(s.jobStop),
		api.VMJobDelete: api.Answer(s.jobDelete),
		api.VMJobStatus: api.Answer(s.jobStatus),

		api.VMBuild:  api.Answer(s.step(api.VMBuild, s.build)),
		api.VMAttach: api.Answer(s.step(api.VMAttach, s.attach)),
		api.VMBoot:   api.Answer(s.step(api.VMBoot, s.boot)),
		api.VMCheck:  api.Answer(s.step(api.VMCheck, s.check)),
		api.VMStop:   api.Answer(s.step(api.VMStop, s.powerOff)),
		api.VMReturn: api.Answer(s.step(api.VMReturn, s.giveBack)),
		api.VMKeep:   api.Answer(s.step(api.VMKeep, s.keep)),
		api.VMRemove: api.Answer(s.step(api.VMRemove, s.remove)),

		api.FilterStatus: api.Answer(s.filterStatus),
		api.FilterChange: api.Answer(s.filterChange),

		api.TransporterList:   api.Answer(s.transporterList),
		api.TransporterDeploy: api.Answer(s.transporterDeploy),
		api.TransporterRemove: api.Answer(s.transporterRemove),
	}
}
