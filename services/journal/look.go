package journal

import (
	"context"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
)

// look handles api.JournalDisks.
func (s *Service) look(_ context.Context, r api.DisksRequest) (any, error) {
	if s.deps.Look == nil {
		return nil, cdp.Errorf(cdp.Invalid, "look at disks", "", "this service opens no disks")
	}
	reply := api.DisksReply{Disks: []api.DiskFacts{}}
	for _, p := range r.Paths {
		reply.Disks = append(reply.Disks, s.deps.Look(p, true))
	}
	for _, p := range r.Known {
		reply.Disks = append(reply.Disks, s.deps.Look(p, false))
	}
	return reply, nil
}
