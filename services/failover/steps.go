package failover

import (
	"context"
	"fmt"
	"strings"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/core/failoverrun"
)

// do does one step, and says what happened.
func (s *Service) do(ctx context.Context, st failoverrun.Run, step recovery.Step) failoverrun.Event {
	ctx, end := s.deps.Tracer.Span(ctx, "failover "+string(step))
	tctx, cancel := context.WithTimeout(ctx, s.cfg.StepTimeout)
	defer cancel()
	e := failoverrun.Event{What: failoverrun.StepDone, Step: step}
	var done bool
	var err error
	e.Result, done, err = s.enter(tctx, st, step)
	end(err)
	switch {
	case err != nil:
		e.What, e.Err = failoverrun.StepRefused, err
	case !done:
		e.What = failoverrun.StepMoved
	}
	return e
}

// enter is the request of a step. It is done, or is to be asked again.
func (s *Service) enter(ctx context.Context, st failoverrun.Run, step recovery.Step) (r failoverrun.Result, done bool, err error) {
	g := cdp.GroupID(st.Job)
	run := api.RunRequest{Group: g, Run: st.ID}
	export := api.CloseRequest{Group: g, ID: st.ExportID()}
	switch step {
	case recovery.Drain:
		return s.drain(ctx, st)
	case recovery.Arrive:
		return s.arrive(ctx, st)
	case recovery.Halt:
		return s.halt(ctx, st)
	case recovery.Resolve:
		res, err := s.resolve(ctx, st)
		return failoverrun.Result{Resolved: &res, Text: Point(res)}, true, err
	case recovery.Open:
		x, err := s.deps.Exports.Open(ctx, api.OpenRequest{Group: g, ID: st.ExportID(), Seq: st.Resolved.Seq, Scratch: true, Listen: st.Listen, Purpose: string(st.Mode)})
		return failoverrun.Result{Export: &x, Text: "the disks are served: " + strings.Join(uris(x), " ")}, true, err
	case recovery.Close:
		err := s.deps.Exports.Close(ctx, export)
		if cdp.Is(err, cdp.NotFound) {
			err = nil
		}
		return failoverrun.Result{Text: "the disks are served no more; what was written to them is gone"}, true, err
	case recovery.Move:
		m, err := s.deps.Replica.Move(ctx, api.MoveRequest{Group: g, Run: st.ID, Seq: st.Resolved.Seq})
		return s.moved(ctx, st, m, err, "the replica holds the point")
	case recovery.Absorb:
		m, err := s.deps.Exports.Absorb(ctx, export)
		return s.moved(ctx, st, m, err, "the replica holds what the VM wrote")
	case recovery.Seal:
		x, err := s.deps.Replica.Seal(ctx, run)
		if st.To == recovery.ToVM { // the images are the VM's, and not where they were
			return failoverrun.Result{Text: "the journal has ended: the VM has the disks"}, true, err
		}
		return failoverrun.Result{Paths: x.Paths, Text: "the replica is the disk: " + strings.Join(x.Paths, " ")}, true, err
	case recovery.Resume:
		b, err := s.deps.Replica.Resume(ctx, run)
		return failoverrun.Result{Text: fmt.Sprintf("the journal takes writes again behind write %d", b.Head)}, true, err
	case recovery.Release:
		err := s.deps.Replica.Release(ctx, run)
		return failoverrun.Result{Text: "the journal has let the replica's disks go"}, true, err
	case recovery.Fill:
		return s.fill(ctx, st)
	}
	return s.vm(ctx, st, step)
}

// moved is the answer of a step that takes long.
func (s *Service) moved(ctx context.Context, st failoverrun.Run, m api.MoveReply, err error, text string) (failoverrun.Result, bool, error) {
	r := failoverrun.Result{Moved: m.Moved, Total: m.Total}
	if err != nil || !m.Done {
		return r, false, err
	}
	r.Text = text
	if st.To == recovery.ToFiles {
		job, err := s.deps.Jobs.Get(ctx, st.Job)
		if err != nil && !cdp.Is(err, cdp.NotFound) {
			return r, false, err
		}
		for _, d := range job.Target.Disks {
			r.Paths = append(r.Paths, d.Path)
		}
	}
	return r, true, nil
}

// drain asks the source for its last frame. A planned run needs the source: if
// it does not answer the run ends, and nothing was changed.
func (s *Service) drain(ctx context.Context, st failoverrun.Run) (failoverrun.Result, bool, error) {
	job, err := s.deps.Jobs.Get(ctx, st.Job)
	if err != nil {
		return failoverrun.Result{}, false, err
	}
	d, err := s.deps.Source.Drain(ctx, job.Source.Site, api.DrainRequest{Group: job.Group(), Run: st.ID})
	if cdp.Is(err, cdp.Transient) {
		return failoverrun.Result{}, false, cdp.Errorf(cdp.Conflict, "drain", st.Job, "the source does not answer: %v", err).
			WithHint("without --planned the failover does not need the source, and says what may be lost")
	}
	if err == nil && d.Pending {
		return failoverrun.Result{Text: "the source makes its last recovery point"}, false, nil
	}
	return failoverrun.Result{Drained: &d, Text: fmt.Sprintf("the source's last write is %d, in frame %d", d.Seq, d.Frame)}, true, err
}

// resolve makes a seq of what was asked for. A planned run goes to the seq that
// the source named; if the frame it named became a point of that seq, the point
// tells the time.
func (s *Service) resolve(ctx context.Context, st failoverrun.Run) (api.Resolved, error) {
	res, err := s.deps.Journal.Resolve(ctx, st.Want())
	if err != nil || st.Drained == nil || res.Point != nil {
		return res, err
	}
	p := cdp.Point{Frame: st.Drained.Frame}
	named, err := s.deps.Journal.Resolve(ctx, api.ResolveRequest{Group: cdp.GroupID(st.Job), Point: p.ID()})
	if err == nil && named.Seq == res.Seq {
		return named, nil
	}
	return res, nil // only the time is not known
}

// arrive waits until the journal has the source's last frame.
func (s *Service) arrive(ctx context.Context, st failoverrun.Run) (failoverrun.Result, bool, error) {
	g, err := s.deps.Journal.Status(ctx, cdp.GroupID(st.Job))
	if err != nil {
		return failoverrun.Result{}, false, err
	}
	r := failoverrun.Result{Moved: int64(min(g.Frame, st.Drained.Frame)), Total: int64(st.Drained.Frame)}
	if g.Frame < st.Drained.Frame || g.Bounds.Head < st.Drained.Seq {
		return r, false, nil
	}
	r.Text = fmt.Sprintf("the journal has frame %d, the source's last", st.Drained.Frame)
	return r, true, nil
}

// halt stops the journal, then asks the source for a moment what it had seen.
func (s *Service) halt(ctx context.Context, st failoverrun.Run) (failoverrun.Result, bool, error) {
	g := cdp.GroupID(st.Job)
	b, err := s.deps.Replica.Halt(ctx, api.RunRequest{Group: g, Run: st.ID})
	if err != nil {
		return failoverrun.Result{}, false, err
	}
	r := failoverrun.Result{Bounds: &b, Text: fmt.Sprintf("the journal takes no more writes; the newest is %d", b.Head)}
	job, err := s.deps.Jobs.Get(ctx, st.Job)
	if err != nil {
		return r, false, err
	}
	r.Snapshots = job.Source.Capture == cdp.CBT
	ctx, cancel := context.WithTimeout(ctx, s.cfg.SourceTimeout)
	defer cancel()
	if c, err := s.deps.Source.Status(ctx, job.Source.Site, g); err == nil {
		r.Captured = &c.Seq
	}
	return r, true, nil
}
