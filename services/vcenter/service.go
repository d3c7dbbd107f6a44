package vcenter

import (
	"context"
	"encoding/json"
	"strings"
	"sync"

	"tidemark.dev/pkg/api"
	"tidemark.dev/pkg/cdp"
)

// Service holds a site's vCenter.
type Service struct {
	cfg   Config
	deps  Deps
	lanes *lanes
	locks locks
	seen  seen
	stop  context.CancelFunc

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
	return &Service{cfg: cfg, deps: deps, stop: stop, jobs: map[string]*control{},
		lanes: &lanes{base: base, patience: cfg.Patience, longest: cfg.Longest, at: map[string]*work{}}}
}

// Run keeps the jobs on VMs until ctx ends; then it waits for all work that is
// under way to stop. What was interrupted goes on when it is asked for again.
func (s *Service) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { s.watchVCenter(ctx) })
	err := s.watchJobs(ctx)
	s.stop()
	s.lanes.wg.Wait()
	wg.Wait()
	return err
}

// Endpoint answers one request.
type Endpoint = func(ctx context.Context, req []byte) (any, error)

// ask makes an endpoint of a function. No request at all is an empty one.
func ask[T any](fn func(context.Context, T) (any, error)) Endpoint {
	return func(ctx context.Context, raw []byte) (any, error) {
		var req T
		if len(raw) > 0 {
			dec := json.NewDecoder(strings.NewReader(string(raw)))
			dec.DisallowUnknownFields()
			if err := dec.Decode(&req); err != nil {
				return nil, &cdp.Error{Op: "read request", Kind: cdp.Invalid, Cause: err}
			}
		}
		return fn(ctx, req)
	}
}

// Endpoints are what the service answers, by the names in package api.
func (s *Service) Endpoints() map[string]Endpoint {
	return map[string]Endpoint{
		api.VCenterInventory: ask(s.answerInventory),
		api.VCenterVMs:       ask(s.answerVMs),
		api.VCenterCheck:     ask(s.answerCheck),
		api.VCenterClocks:    ask(s.answerClocks),
		api.VCenterMembers:   ask(s.answerMembers),

		api.VMFreeze:  ask(s.freeze),
		api.VMChanged: ask(s.changed),
		api.VMThaw:    ask(s.thaw),
		api.VMTap:     ask(s.tap),

		api.VMJobCheck:  ask(s.jobCheck),
		api.VMJobRun:    ask(s.jobRun),
		api.VMJobStop:   ask(s.jobStop),
		api.VMJobDelete: ask(s.jobDelete),
		api.VMJobStatus: ask(s.jobStatus),

		api.VMBuild:  ask(s.step(api.VMBuild, s.build)),
		api.VMAttach: ask(s.step(api.VMAttach, s.attach)),
		api.VMBoot:   ask(s.step(api.VMBoot, s.boot)),
		api.VMCheck:  ask(s.step(api.VMCheck, s.check)),
		api.VMStop:   ask(s.step(api.VMStop, s.powerOff)),
		api.VMReturn: ask(s.step(api.VMReturn, s.giveBack)),
		api.VMKeep:   ask(s.step(api.VMKeep, s.keep)),
		api.VMRemove: ask(s.step(api.VMRemove, s.remove)),

		api.FilterStatus: ask(s.filterStatus),
		api.FilterChange: ask(s.filterChange),

		api.TransporterList:   ask(s.transporterList),
		api.TransporterDeploy: ask(s.transporterDeploy),
		api.TransporterRemove: ask(s.transporterRemove),
	}
}
