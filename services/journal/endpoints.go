package journal

import (
	"context"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
)

// ask makes an endpoint of a function over a group.
func ask[T any](s *Service, id func(T) cdp.GroupID, fn func(context.Context, *group, T) (any, error)) api.Endpoint {
	return api.Answer(func(ctx context.Context, req T) (any, error) {
		if id(req) == "" {
			return nil, cdp.Errorf(cdp.Invalid, "read request", "group", "the request names no group")
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
		api.JournalNewest: api.Answer(func(context.Context, api.Empty) (any, error) { return s.newest(), nil }),
		api.JournalDisks:  api.Answer(s.look),
		api.JournalPoints: ask(s, func(r api.PointsRequest) cdp.GroupID { return r.Group },
			func(_ context.Context, g *group, r api.PointsRequest) (any, error) { return g.pointsPage(r) }),
		api.JournalResolve: api.Answer(func(_ context.Context, r api.ResolveRequest) (any, error) {
			g, err := s.recoverable(r.Group)
			if err == nil && r.Listen != "" {
				err = s.deps.Servers.Ready(r.Listen)
			}
			if err != nil {
				return nil, err
			}
			return g.resolve(r)
		}),
		api.JournalCursor: ask(s, byGroup, func(_ context.Context, g *group, _ api.GroupRequest) (any, error) {
			return g.cursor(), nil
		}),
		api.JournalOpen: ask(s, func(r api.OpenRequest) cdp.GroupID { return r.Group },
			func(_ context.Context, g *group, r api.OpenRequest) (any, error) {
				if r.Purpose != api.ForExport {
					s.deps.Space.Use()
				}
				return g.openView(r)
			}),
		api.JournalClose: ask(s, byClose, func(ctx context.Context, g *group, r api.CloseRequest) (any, error) {
			return api.Empty{}, g.closeView(ctx, r)
		}),
		api.JournalExports: ask(s, byGroup, func(_ context.Context, g *group, _ api.GroupRequest) (any, error) {
			return api.ExportsReply{Exports: g.exports.list()}, nil
		}),
		api.JournalHalt:   askFailover(s, byRun, func(_ context.Context, g *group, r api.RunRequest) (any, error) { return g.halt(r.Run) }),
		api.JournalResume: askFailover(s, byRun, func(_ context.Context, g *group, r api.RunRequest) (any, error) { return g.resume(r.Run) }),
		api.JournalRelease: askFailover(s, byRun, func(ctx context.Context, g *group, r api.RunRequest) (any, error) {
			return api.Empty{}, g.release(ctx, r.Run)
		}),
		api.JournalFill: askFailover(s, func(r api.FillRequest) cdp.GroupID { return r.Group },
			func(_ context.Context, g *group, r api.FillRequest) (any, error) { return g.fill(r) }),
		api.JournalFillStop: ask(s, byRun, func(_ context.Context, g *group, r api.RunRequest) (any, error) {
			return api.Empty{}, g.fills.stop(r.Run)
		}),
		api.JournalSums: ask(s, func(r api.SumsRequest) cdp.GroupID { return r.Group },
			func(_ context.Context, g *group, r api.SumsRequest) (any, error) { return g.sums(r) }),
		api.JournalMoveBase: askFailover(s, func(r api.MoveRequest) cdp.GroupID { return r.Group },
			func(_ context.Context, g *group, r api.MoveRequest) (any, error) { return g.base.move(r.Seq) }),
		api.JournalAbsorb: askFailover(s, byClose, func(ctx context.Context, g *group, r api.CloseRequest) (any, error) { return g.absorb(ctx, r.ID) }),
		api.JournalSeal:   askFailover(s, byRun, func(ctx context.Context, g *group, _ api.RunRequest) (any, error) { return g.seal(ctx) }),
		api.JournalExpect: ask(s, func(r api.ExpectRequest) cdp.GroupID { return r.Group },
			func(ctx context.Context, g *group, r api.ExpectRequest) (any, error) {
				return api.Empty{}, g.expects.expect(ctx, r)
			}),
		api.JournalTested: ask(s, func(r api.PointTestedRequest) cdp.GroupID { return r.Group },
			func(ctx context.Context, g *group, r api.PointTestedRequest) (any, error) {
				return g.pointTested(ctx, r)
			}),
		api.JournalEditPoint: ask(s, func(r api.EditPointRequest) cdp.GroupID { return r.Group },
			func(ctx context.Context, g *group, r api.EditPointRequest) (any, error) { return g.editPoint(ctx, r) }),
	}
}

func (s *Service) status(_ context.Context, req api.GroupRequest) (any, error) {
	if req.Group != "" {
		g, err := s.recoverable(req.Group)
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
		st := api.GroupStatus{Group: id, State: w.state(), Reason: w.reason().Error(), Hint: cdp.HintOf(w.reason()), Mode: w.Mode, Limit: w.Limit, History: w.History}
		reply.Groups = append(reply.Groups, st)
	}
	s.mu.Unlock()
	slices.SortFunc(gs, func(a, b *group) int { return strings.Compare(string(a.job.id), string(b.job.id)) })
	// A busy group's store waits for its disk. Nobody waits for one after the other.
	states := make([]api.GroupStatus, len(gs))
	var asked errgroup.Group
	asked.SetLimit(32)
	for i, g := range gs {
		asked.Go(func() error {
			st, err := g.status()
			if err != nil { // it says nothing about the others
				st = api.GroupStatus{Group: g.job.id, State: event.JournalFailed, Reason: err.Error()}
			}
			states[i] = st
			return nil
		})
	}
	_ = asked.Wait() // none fails
	reply.Groups = append(reply.Groups, states...)
	return reply, nil
}
