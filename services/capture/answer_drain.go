package capture

import (
	"context"
	"sync"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/spec"
)

// lastPoints are the last points that groups of VMs are making.
type lastPoints struct {
	mu sync.Mutex
	of map[cdp.GroupID]*pendingPoint
}

// pendingPoint is the last point that is being made for a run. The one of another
// run may be older than this run's beginning, so it is no answer to it.
type pendingPoint struct {
	run  string
	made chan madePoint // room for one
}

type madePoint struct {
	cdp.Point
	err error
}

// answerDrain makes the last point. That of a cbt group is a cycle of its own, and
// that of a VM that is off a pass: they take longer than a request, so the caller
// asks again.
func (s *Service) answerDrain(ctx context.Context, r api.DrainRequest) (api.DrainReply, error) {
	g, err := s.groups.Group(r.Group)
	if err != nil {
		return api.DrainReply{}, err
	}
	j, _ := s.jobs.get(r.Group)
	if r.Target != "" && r.Target != j.Target.Site {
		return api.DrainReply{}, cdp.Errorf(cdp.NotFound, "make the last point", string(r.Group), "here it is a group of a job at the site %s", j.Target.Site)
	}
	if j.Source.VM == "" {
		p, err := g.Mark(true)
		return api.DrainReply{Frame: p.Frame, Seq: p.Seq}, err
	}
	d := s.pendingOf(r, g, j)
	select {
	case x := <-d.made:
		s.lastPoints.end(r.Group, d)
		return api.DrainReply{Frame: x.Frame, Seq: x.Seq}, x.err
	case <-clock.After(s.deps.Clock, time.Second):
	case <-ctx.Done():
	}
	return api.DrainReply{Pending: true}, nil
}

// pendingOf is the last point of a run; it begins one if none is under way.
func (s *Service) pendingOf(r api.DrainRequest, g *Group, j spec.ReplicationJob) *pendingPoint {
	s.lastPoints.mu.Lock()
	defer s.lastPoints.mu.Unlock()
	d := s.lastPoints.of[r.Group]
	if d == nil || d.run != r.Run {
		d = &pendingPoint{run: r.Run, made: make(chan madePoint, 1)}
		s.lastPoints.of[r.Group] = d
		s.task(func() {
			p, err := s.lastPoint(s.ctx, g, j)
			d.made <- madePoint{p, err}
		})
	}
	return d
}

func (x *lastPoints) end(g cdp.GroupID, d *pendingPoint) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.of[g] == d {
		delete(x.of, g)
	}
}

// lastPoint makes the last point of a VM's group.
func (s *Service) lastPoint(ctx context.Context, g *Group, j spec.ReplicationJob) (cdp.Point, error) {
	if j.Source.Capture == cdp.CBT {
		return g.CyclePoint(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.LastPointTimeout)
	defer cancel()
	return g.LastPoint(ctx, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
		defer cancel()
		power, err := s.deps.Machines.Power(ctx, j.Source.VM)
		if err == nil && power != inventory.PoweredOff {
			e := cdp.Errorf(cdp.Conflict, "see writes", j.Name, "the VM is %s, and its I/O filter does not report its writes", power)
			return e.WithHint("power the VM off, or wait until the filter is attached again: tidemark status " + j.Name)
		}
		return err
	})
}
