package journal

import (
	"context"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
)

// PinPoint handles journal.point-pin: it pins a recovery point, or unpins it.
func (s *Service) PinPoint(ctx context.Context, e event.Event) error {
	var p event.PointPin
	if err := e.Into(&p); err != nil {
		return err
	}
	g, err := s.group(cdp.GroupID(p.Job))
	if err != nil {
		return err
	}
	_, err = g.editPoint(ctx, api.EditPointRequest{Point: p.Point, Pinned: &p.Pinned})
	return err
}
