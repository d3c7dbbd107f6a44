package journal

import (
	"context"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
)

// DeletePoint handles journal.point-delete: it removes a recovery point.
func (s *Service) DeletePoint(ctx context.Context, e event.Event) error {
	var p event.PointDelete
	if err := e.Into(&p); err != nil {
		return err
	}
	g, err := s.group(cdp.GroupID(p.Job))
	if err != nil {
		return err
	}
	_, err = g.editPoint(ctx, api.EditPointRequest{Point: p.Point, Delete: true, Force: p.Force})
	return err
}
