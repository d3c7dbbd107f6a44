package capture

import (
	"context"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
)

// HandleMark handles capture.mark: a recovery point of a group is asked for, by
// the scheduler's cadence or by somebody.
func (s *Service) HandleMark(ctx context.Context, e event.Event) error {
	var m event.CaptureMark
	if err := e.Into(&m); err != nil {
		return err
	}
	g, err := s.groups.Group(m.Group)
	if cdp.Is(err, cdp.NotFound) && !m.Requested {
		return nil // the job has not come over the link yet; it begins with a point
	}
	if err != nil {
		return err
	}
	if j, _ := s.jobs.get(m.Group); j.Source.Capture == cdp.CBT { // its cycles have their own cadence
		if m.Requested {
			return g.Cycle(cdp.RequestOf(e.ID))
		}
		return nil
	}
	why := purpose{requested: m.Requested}
	if m.Requested {
		why.request = cdp.RequestOf(e.ID)
	}
	s.traces.put(ctx, m.Group) // before the frame can leave
	if _, err = g.mark(why); err != nil {
		s.traces.take(m.Group)
	}
	if cdp.Is(err, cdp.Conflict) && !m.Requested {
		g.Owe() // the cadence has nothing to mark while history is incomplete
		return nil
	}
	return err
}
