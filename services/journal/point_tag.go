package journal

import (
	"context"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
)

// TagPoint handles journal.point-tag: it replaces the tags of a recovery point.
func (s *Service) TagPoint(ctx context.Context, e event.Event) error {
	var p event.PointTag
	if err := e.Into(&p); err != nil {
		return err
	}
	g, err := s.group(cdp.GroupID(p.Job))
	if err != nil {
		return err
	}
	_, err = g.editPoint(ctx, api.EditPointRequest{Point: p.Point, Tags: &p.Tags})
	return err
}
