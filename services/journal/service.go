package journal

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
)

// Service keeps the journals of a transporter.
type Service struct {
	cfg  Config
	deps Deps

	mu     sync.Mutex
	groups map[cdp.GroupID]*group
	wanted map[cdp.GroupID]*wanted // not open yet
	kick   chan struct{}
}

// wanted is a group that is not open yet, and why.
type wanted struct {
	GroupSpec
	why error
}

func (w *wanted) reason() error {
	if w.why == nil {
		return errors.New("it is being opened")
	}
	return w.why
}

// New makes the service; Run makes it work.
func New(cfg Config, deps Deps) *Service {
	return &Service{cfg: cfg.withDefaults(), deps: deps, groups: map[cdp.GroupID]*group{},
		wanted: map[cdp.GroupID]*wanted{}, kick: make(chan struct{}, 1)}
}

// Run serves until ctx ends, then closes every journal. Groups that cannot be
// opened yet are tried again.
func (s *Service) Run(ctx context.Context) error {
	for {
		s.openWanted(ctx)
		select {
		case <-ctx.Done():
			return s.closeAll()
		case <-s.kick:
		case <-time.After(2 * s.cfg.Beat):
		}
	}
}

func (s *Service) closeAll() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for id, g := range s.groups {
		errs = append(errs, g.close())
		delete(s.groups, id)
	}
	return errors.Join(errs...)
}

// Apply takes a job's word for a group: a new one is opened, an open one takes
// over what may change while it runs (mode, history, limit).
func (s *Service) Apply(spec GroupSpec) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g := s.groups[spec.Group]; g != nil {
		g.mu.Lock()
		g.spec.Mode, g.spec.History, g.spec.Limit = spec.Mode, spec.History, spec.Limit
		g.mu.Unlock()
		return
	}
	s.wanted[spec.Group] = &wanted{GroupSpec: spec}
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// Remove closes a group and drops its journal. The replica's images stay.
func (s *Service) Remove(id cdp.GroupID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.wanted, id)
	if g := s.groups[id]; g != nil {
		delete(s.groups, id)
		for _, e := range g.exports.list() {
			if err := g.exports.closeView(e.ID); err != nil {
				return err
			}
		}
		if err := g.fills.stop(""); err != nil {
			return err
		}
		if err := g.close(); err != nil {
			return err
		}
	}
	return s.deps.Stores.Drop(id)
}

func (s *Service) openWanted(ctx context.Context) {
	s.mu.Lock()
	specs := make([]GroupSpec, 0, len(s.wanted))
	for _, w := range s.wanted {
		specs = append(specs, w.GroupSpec)
	}
	s.mu.Unlock()
	for _, spec := range specs {
		g, err := s.openOne(ctx, spec)
		if err != nil {
			s.waits(ctx, spec.Group, err)
			continue
		}
		gctx, cancel := context.WithCancel(ctx)
		g.cancel = cancel
		s.mu.Lock()
		_, still := s.wanted[spec.Group]
		delete(s.wanted, spec.Group)
		if still {
			s.groups[spec.Group] = g
		}
		s.mu.Unlock()
		if !still { // removed meanwhile
			cancel()
			close(g.done)
			if err := g.close(); err != nil {
				s.deps.Facts.StateChanged(ctx, spec.Group, event.JournalFailed, err.Error())
			}
			continue
		}
		go g.run(gctx)
	}
}

// waits notes why a group cannot be opened, and tells it once.
func (s *Service) waits(ctx context.Context, id cdp.GroupID, why error) {
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

// openOne opens a group. A new one needs the source, to tell its disks.
func (s *Service) openOne(ctx context.Context, spec GroupSpec) (*group, error) {
	disks, known := s.deps.Stores.Known(spec.Group)
	if !known {
		actx, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		var err error
		disks, err = s.deps.Capture.Disks(actx, spec.Source, spec.Group)
		if err == nil && len(disks) == 0 || cdp.Is(err, cdp.NotFound) {
			err = cdp.Errorf(cdp.Transient, "open journal", string(spec.Group), "the source has not told its disks yet")
		}
		if err != nil {
			return nil, err
		}
	}
	return openGroup(ctx, s.cfg, s.deps, spec, disks, !known)
}

func (s *Service) group(id cdp.GroupID) (*group, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g := s.groups[id]; g != nil {
		return g, nil
	}
	if w, ok := s.wanted[id]; ok {
		return nil, (&cdp.Error{Op: "find journal", Kind: cdp.Transient, Subject: string(id), Cause: w.reason()}).
			WithHint("a new job waits for its source: is the capture service running, and the link up?")
	}
	return nil, cdp.Errorf(cdp.NotFound, "find journal", string(id), "there is no journal for this job")
}

// held is group, for who wants to recover something: a new job that waits for
// its source has nothing, and that is no reason to wait.
func (s *Service) held(id cdp.GroupID) (*group, error) {
	g, err := s.group(id)
	if cdp.Is(err, cdp.Transient) {
		if _, known := s.deps.Stores.Known(id); !known {
			s.mu.Lock()
			defer s.mu.Unlock()
			why := ""
			if w := s.wanted[id]; w != nil {
				why = ": " + w.reason().Error()
			}
			return nil, cdp.Errorf(cdp.NotFound, "find journal", string(id), "there is no recovery point yet%s", why).WithHint(cdp.HintOf(err))
		}
	}
	return g, err
}

// ask makes an endpoint of a function over a group.
func ask[T any](s *Service, id func(T) cdp.GroupID, fn func(context.Context, *group, T) (any, error)) api.Endpoint {
	return api.Answer(func(ctx context.Context, req T) (any, error) {
		if id(req) == "" {
			return nil, cdp.Errorf(cdp.Invalid, "read request", "group", "it is needed")
		}
		g, err := s.group(id(req))
		if err != nil {
			return nil, err
		}
		return fn(ctx, g, req)
	})
}

// Endpoints are what the service answers, by the names in package api.
func (s *Service) Endpoints() map[string]api.Endpoint {
	byGroup := func(r api.GroupRequest) cdp.GroupID { return r.Group }
	byRun := func(r api.RunRequest) cdp.GroupID { return r.Group }
	byClose := func(r api.CloseRequest) cdp.GroupID { return r.Group }
	return map[string]api.Endpoint{
		api.JournalStatus: api.Answer(s.status),
		api.JournalPoints: ask(s, func(r api.PointsRequest) cdp.GroupID { return r.Group },
			func(_ context.Context, g *group, r api.PointsRequest) (any, error) { return g.pointsPage(r) }),
		api.JournalResolve: api.Answer(func(_ context.Context, r api.ResolveRequest) (any, error) {
			g, err := s.held(r.Group)
			if err != nil {
				return nil, err
			}
			return g.resolve(r)
		}),
		api.JournalCursor: ask(s, byGroup, func(_ context.Context, g *group, _ api.GroupRequest) (any, error) {
			return g.cursor(), nil
		}),
		api.JournalOpen: ask(s, func(r api.OpenRequest) cdp.GroupID { return r.Group },
			func(_ context.Context, g *group, r api.OpenRequest) (any, error) { return g.openView(r) }),
		api.JournalClose: ask(s, byClose, func(_ context.Context, g *group, r api.CloseRequest) (any, error) {
			return api.Empty{}, g.exports.closeView(r.ID)
		}),
		api.JournalExports: ask(s, byGroup, func(_ context.Context, g *group, _ api.GroupRequest) (any, error) {
			return api.ExportsReply{Exports: g.exports.list()}, nil
		}),
		api.JournalHalt:   ask(s, byRun, func(_ context.Context, g *group, r api.RunRequest) (any, error) { return g.halt(r.Run) }),
		api.JournalResume: ask(s, byRun, func(_ context.Context, g *group, r api.RunRequest) (any, error) { return g.resume(r.Run) }),
		api.JournalRelease: ask(s, byRun, func(ctx context.Context, g *group, r api.RunRequest) (any, error) {
			return api.Empty{}, g.release(ctx, r.Run)
		}),
		api.JournalFill: ask(s, func(r api.FillRequest) cdp.GroupID { return r.Group },
			func(_ context.Context, g *group, r api.FillRequest) (any, error) { return g.fill(r) }),
		api.JournalFillStop: ask(s, byRun, func(_ context.Context, g *group, r api.RunRequest) (any, error) {
			return api.Empty{}, g.fills.stop(r.Run)
		}),
		api.JournalSums: ask(s, func(r api.SumsRequest) cdp.GroupID { return r.Group },
			func(_ context.Context, g *group, r api.SumsRequest) (any, error) { return g.sums(r) }),
		api.JournalMoveBase: ask(s, func(r api.MoveRequest) cdp.GroupID { return r.Group },
			func(_ context.Context, g *group, r api.MoveRequest) (any, error) { return g.moveBase(r.Seq) }),
		api.JournalAbsorb: ask(s, byClose, func(ctx context.Context, g *group, r api.CloseRequest) (any, error) { return g.absorb(ctx, r.ID) }),
		api.JournalSeal:   ask(s, byRun, func(ctx context.Context, g *group, _ api.RunRequest) (any, error) { return g.seal(ctx) }),
		api.JournalEditPoint: ask(s, func(r api.EditPointRequest) cdp.GroupID { return r.Group },
			func(ctx context.Context, g *group, r api.EditPointRequest) (any, error) { return g.editPoint(ctx, r) }),
	}
}

func (s *Service) status(_ context.Context, req api.GroupRequest) (any, error) {
	if req.Group != "" {
		g, err := s.held(req.Group)
		if err != nil {
			return nil, err
		}
		st, err := g.status()
		return api.StatusReply{Groups: []api.GroupStatus{st}, Transporter: s.cfg.Transporter}, err
	}
	s.mu.Lock()
	var gs []*group
	for _, g := range s.groups {
		gs = append(gs, g)
	}
	reply := api.StatusReply{Groups: []api.GroupStatus{}, Transporter: s.cfg.Transporter}
	for id, w := range s.wanted {
		st := api.GroupStatus{Group: id, State: event.JournalWaiting, Reason: w.reason().Error(), Mode: w.Mode}
		if w.why != nil && !cdp.Is(w.why, cdp.Transient) {
			st.State = event.JournalFailed
		}
		reply.Groups = append(reply.Groups, st)
	}
	s.mu.Unlock()
	slices.SortFunc(gs, func(a, b *group) int { return strings.Compare(string(a.id), string(b.id)) })
	for _, g := range gs {
		st, err := g.status()
		if err != nil {
			return nil, err
		}
		reply.Groups = append(reply.Groups, st)
	}
	return reply, nil
}
