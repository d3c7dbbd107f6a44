package vcenter

import (
	"context"
	"sync"

	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/api"
)

// Service joins the parts of the vcenter service of one site.
type Service struct {
	watcher      *watcher
	queries      *siteQueries
	jobs         *jobControl
	freezer      *freezer
	taps         *sourceTaps
	fencer       *fencer
	power        *vmPower
	scripts      *guestScripts
	runs         *vmRuns
	filters      *filters
	transporters *transporters

	lanes *lanes
	stop  context.CancelFunc // ends the work in lanes
}

// New makes the service. It works while Run runs.
func New(cfg Config, deps Deps) *Service {
	cfg = cfg.withDefaults()
	if deps.Prober == nil {
		deps.Prober = NetProber{}
	}
	if deps.Files == nil {
		deps.Files = anyFile{}
	}
	if deps.Guests == nil {
		deps.Guests = noGuests{}
	}
	if deps.Notify == nil {
		deps.Notify = func(error) {}
	}
	if deps.Clock == nil {
		deps.Clock = clock.System
	}
	base, stop := context.WithCancel(context.Background())
	s := &Service{stop: stop, lanes: newLanes(base, deps.Clock, cfg.Patience, cfg.Longest)}
	locks := &locks{}
	report := &reporter{events: deps.Events, site: deps.Site, notify: deps.Notify}
	cache := &inventoryCache{site: deps.Site, report: report, clock: deps.Clock, maxAge: cfg.CacheFor, locks: locks}
	site := &connector{dial: deps.VCenter, site: deps.Site, records: deps.Records, changed: cache.invalidate}
	cache.connect = func(ctx context.Context) (Inventories, error) { return site.connect(ctx) }
	hot := &hotadd{site: deps.Site, cache: cache, devices: deps.Devices, wait: cfg.DeviceWait, clock: deps.Clock}

	s.queries = &siteQueries{site: deps.Site, cache: cache, hotadd: hot, clock: deps.Clock,
		connect: func(ctx context.Context) (queried, error) { return site.connect(ctx) }}
	s.freezer = &freezer{cache: cache, hotadd: hot, lanes: s.lanes, specs: deps.Sourced, report: report, clock: deps.Clock,
		connect: func(ctx context.Context) (frozenVMs, error) { return site.connect(ctx) }}
	s.taps = &sourceTaps{lanes: s.lanes, specs: deps.Sourced,
		connect: func(ctx context.Context) (tappedVMs, error) { return site.connect(ctx) }}
	s.fencer = &fencer{site: deps.Site, lanes: s.lanes, specs: deps.Sourced, records: deps.Records, report: report, clock: deps.Clock, pause: cfg.CheckEvery,
		connect: func(ctx context.Context) (fencedVMs, error) { return site.connect(ctx) }}
	s.power = &vmPower{site: deps.Site, cache: cache, lanes: s.lanes, records: deps.Records, clock: deps.Clock, pause: cfg.CheckEvery,
		connect: func(ctx context.Context) (poweredVMs, error) { return site.connect(ctx) }}
	s.scripts = &guestScripts{cache: cache, lanes: s.lanes, logins: deps.Guests,
		connect: func(ctx context.Context) (scriptedVMs, error) { return site.connect(ctx) }}
	s.filters = &filters{cache: cache, lanes: s.lanes, records: deps.Records, report: report,
		connect: func(ctx context.Context) (filtered, error) { return site.connect(ctx) }}
	s.transporters = &transporters{site: deps.Site, cache: cache, lanes: s.lanes, records: deps.Records, journal: deps.Journal, local: deps.Files, report: report,
		clock: deps.Clock, cfg: cfg, connect: func(ctx context.Context) (applianceVMs, error) { return site.connect(ctx) }}
	s.transporters.unheard.Store(true) // the last process may have left some
	s.runs = &vmRuns{cache: cache, hotadd: hot, lanes: s.lanes, locks: locks, records: deps.Records, jobs: deps.Jobs, prober: deps.Prober, local: deps.Files, guests: deps.Guests,
		report: report, clock: deps.Clock, cfg: cfg, connect: func(ctx context.Context) (runVMs, error) { return site.connect(ctx) }}
	s.jobs = &jobControl{cfg: cfg, site: deps.Site, cache: cache, hotadd: hot, lanes: s.lanes, locks: locks, records: deps.Records,
		jobs: deps.Jobs, groups: deps.Groups, sourced: deps.Sourced, peer: deps.Peer, runs: deps.Runs, journal: deps.Journal, capture: deps.Capture, local: deps.Files, guests: deps.Guests,
		report: report, clock: deps.Clock, controls: map[string]*control{},
		connect: func(ctx context.Context) (memberVMs, error) { return site.connect(ctx) }}
	s.watcher = &watcher{connector: site, cache: cache, changed: s.jobs.wakeAll, report: report, clock: deps.Clock, beat: cfg.Beat}
	return s
}

// Run keeps the jobs on VMs until ctx ends, and then waits until all work has
// stopped. Interrupted work continues when it is asked for again.
func (s *Service) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(ctx)
	wg.Go(func() { s.watcher.run(ctx) })
	wg.Go(func() { s.transporters.hearLate(ctx) })
	err := s.jobs.watchJobs(ctx)
	cancel()
	s.stop()
	wg.Wait()
	s.lanes.wg.Wait()
	return err
}

// Endpoints are the service's endpoints, by their names in package api.
func (s *Service) Endpoints() map[string]api.Endpoint {
	return map[string]api.Endpoint{
		api.VCenterInventory: api.Answer(s.queries.inventory),
		api.VCenterVMs:       api.Answer(s.queries.vms),
		api.VCenterCheck:     api.Answer(s.queries.check),
		api.VCenterClocks:    api.Answer(s.queries.clocks),
		api.VCenterUp:        api.Answer(s.queries.up),
		api.VCenterMembers:   api.Answer(s.queries.members),

		api.VMFreeze:  api.Answer(s.freezer.freeze),
		api.VMChanged: api.Answer(s.freezer.changed),
		api.VMThaw:    api.Answer(s.freezer.thaw),
		api.VMPower:   api.Answer(s.taps.power),
		api.VMTap:     api.Answer(s.taps.tap),
		api.VMFence:   api.Answer(s.fencer.fence),

		api.VMSetPower:    api.Answer(s.power.set),
		api.VMGuestScript: api.Answer(s.scripts.run),

		api.VMJobCheck:   api.Answer(s.jobs.jobCheck),
		api.VMJobRun:     api.Answer(s.jobs.jobRun),
		api.VMJobStop:    api.Answer(s.jobs.jobStop),
		api.VMJobDelete:  api.Answer(s.jobs.jobDelete),
		api.VMJobReverse: api.Answer(s.jobs.jobReverse),
		api.VMJobStatus:  api.Answer(s.jobs.jobStatus),

		api.VMBuild:  api.Answer(s.runs.step(api.VMBuild, (*run).build)),
		api.VMAttach: api.Answer(s.runs.step(api.VMAttach, (*run).attach)),
		api.VMBoot:   api.Answer(s.runs.step(api.VMBoot, (*run).boot)),
		api.VMCheck:  api.Answer(s.runs.step(api.VMCheck, (*run).check)),
		api.VMStop:   api.Answer(s.runs.step(api.VMStop, (*run).powerOff)),
		api.VMReturn: api.Answer(s.runs.step(api.VMReturn, (*run).undo)),
		api.VMKeep:   api.Answer(s.runs.step(api.VMKeep, (*run).commit)),
		api.VMRemove: api.Answer(s.runs.step(api.VMRemove, (*run).remove)),

		api.FilterStatus: api.Answer(s.filters.status),
		api.FilterChange: api.Answer(s.filters.change),

		api.TransporterList:   api.Answer(s.transporters.list),
		api.TransporterDeploy: api.Answer(s.transporters.deploy),
		api.TransporterRemove: api.Answer(s.transporters.remove),
	}
}
