package journal

import (
	"context"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
)

// askFailover is ask for the steps of a failover: they may use the reserve of the
// journals' disk.
func askFailover[T any](s *Service, id func(T) cdp.GroupID, fn func(context.Context, *group, T) (any, error)) api.Endpoint {
	return ask(s, id, func(ctx context.Context, g *group, req T) (any, error) {
		s.deps.Space.Use()
		return fn(ctx, g, req)
	})
}

// restoreReserve takes the reserve again, unless a failover may need it.
func (s *Service) restoreReserve() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.groups {
		if g.inFailover() {
			return
		}
	}
	s.deps.Space.Restore(s.cfg.Reserve)
}

// inFailover reports whether a failover run, or a test, uses the group.
func (g *group) inFailover() bool {
	if st := g.vault.State(); st.Halted && !st.Sealed {
		return true
	}
	return g.exports.serveRuns() || g.fills.busy()
}
