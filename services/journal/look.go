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
	return r.Answer(s.deps.Look), nil
}
