package capture

import (
	"context"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
)

// HandleMark handles capture.mark: somebody asks for a recovery point of a group.
func (s *Service) HandleMark(ctx context.Context, e event.Event) error {
	var m event.CaptureMark
	if err := e.Into(&m); err != nil {
		return err
	}
	if !m.Requested {
		return s.markDue(ctx, m.Group)
	}
	g, err := s.groups.Group(m.Group)
	if err != nil {
		return err
	}
	request := cdp.RequestOf(e.ID)
	if s.hasCycles(m.Group) {
		return g.Cycle(request)
	}
	return s.mark(ctx, g, purpose{requested: true, request: request})
}

// answerMarks makes the recovery points that are due. One that cannot be made is no
// reason to refuse the others.
func (s *Service) answerMarks(ctx context.Context, r api.MarksRequest) (any, error) {
	for _, m := range r.Marks {
		in := ctx
		if m.Trace != "" && s.deps.Join != nil {
			in = s.deps.Join(ctx, m.Trace)
		}
		if err := s.markDue(in, m.Group); err != nil {
			s.notify(err, string(m.Group))
		}
	}
	return api.Empty{}, nil
}

// markDue makes the recovery point that the cadence asks for, as soon as it can be made.
func (s *Service) markDue(ctx context.Context, id cdp.GroupID) error {
	g, err := s.groups.Group(id)
	if cdp.Is(err, cdp.NotFound) {
		return nil // the job has not come over the link yet; it begins with a point
	}
	if err != nil || s.hasCycles(id) {
		return err
	}
	err = s.mark(ctx, g, purpose{})
	if cdp.Is(err, cdp.Conflict) || cdp.Is(err, cdp.Full) { // there is nothing to mark, or no room, yet
		g.Owe()
		return nil
	}
	return err
}

// mark makes a recovery point, whose frame belongs to ctx's trace.
func (s *Service) mark(ctx context.Context, g *Group, why purpose) error {
	s.traces.put(ctx, g.job.Group) // before the frame can leave
	_, err := g.mark(why)
	if err != nil {
		s.traces.take(g.job.Group)
	}
	return err
}

// hasCycles reports whether the group makes its points by cycles, at a pace of their own.
func (s *Service) hasCycles(id cdp.GroupID) bool {
	j, _ := s.jobs.get(id)
	return j.Source.Capture == cdp.CBT
}
