package failover

import (
	"context"
	"fmt"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/core/failoverrun"
)

// fence has the source power its VM off, before a planned run takes its last write. A
// source that does not answer ends the run: two VMs could run.
func (s *Service) fence(ctx context.Context, run failoverrun.Run) (failoverrun.Result, bool, error) {
	p, err := s.deps.Source.Fence(ctx, run.Old.Site, run.FenceRequest())
	if cdp.Is(err, cdp.Transient) {
		return failoverrun.Result{}, false, cdp.Errorf(cdp.Conflict, "fence", run.Job, "the source does not answer, so its VM cannot be powered off: %v", err).
			WithHint("without --planned the failover does not need the source, and powers its VM off when it answers")
	}
	return failoverrun.Result{Text: p.Text}, err == nil && p.Done, err
}

// drain asks the source for its last frame. A planned run needs the source: if
// it does not answer, the run ends and nothing was changed.
func (s *Service) drain(ctx context.Context, run failoverrun.Run) (failoverrun.Result, bool, error) {
	job := run.Pinned.Spec
	d, err := s.deps.Source.Drain(ctx, job.Source.Site, api.DrainRequest{Group: job.Group(), Run: run.ID})
	if cdp.Is(err, cdp.Transient) {
		return failoverrun.Result{}, false, cdp.Errorf(cdp.Conflict, "drain", run.Job, "the source does not answer: %v", err).
			WithHint("without --planned the failover does not need the source, and says what may be lost")
	}
	if err == nil && d.Pending {
		return failoverrun.Result{Text: "the source is making its last recovery point"}, false, nil
	}
	return failoverrun.Result{Drained: &d, Text: fmt.Sprintf("the source's last write is %d, in frame %d", d.Seq, d.Frame)}, true, err
}

// arrive waits until the journal has the source's last frame.
func (s *Service) arrive(ctx context.Context, run failoverrun.Run) (failoverrun.Result, bool, error) {
	g, err := s.deps.Journal.Status(ctx, cdp.GroupID(run.Job))
	if err != nil {
		return failoverrun.Result{}, false, err
	}
	r := failoverrun.Result{Moved: int64(min(g.Frame, run.Drained.Frame)), Total: int64(run.Drained.Frame)}
	if g.Frame < run.Drained.Frame || g.Bounds.Head < run.Drained.Seq {
		return r, false, nil
	}
	r.Text = fmt.Sprintf("the journal has frame %d, the source's last", run.Drained.Frame)
	return r, true, nil
}

// halt stops the journal's intake, then asks the source what it had captured. A
// source that does not answer at once is not waited for.
func (s *Service) halt(ctx context.Context, run failoverrun.Run) (failoverrun.Result, bool, error) {
	g, job := cdp.GroupID(run.Job), run.Pinned.Spec
	b, err := s.deps.Replica.Halt(ctx, api.RunRequest{Group: g, Run: run.ID})
	if err != nil {
		return failoverrun.Result{}, false, err
	}
	r := failoverrun.Result{Bounds: &b, Snapshots: job.Source.Capture == cdp.CBT, Text: fmt.Sprintf("the journal is halted; its newest write is %d", b.Head)}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.SourceTimeout)
	defer cancel()
	if c, err := s.deps.Source.Status(ctx, job.Source.Site, g); err == nil {
		r.Captured = &c.Seq
	}
	return r, true, nil
}

// resolve turns the requested point into a seq. A planned run goes to the seq
// that the source named; if the frame it named became a point of that seq, the
// point gives the time.
func (s *Service) resolve(ctx context.Context, run failoverrun.Run) (api.Resolved, error) {
	res, err := s.deps.Journal.Resolve(ctx, run.Want())
	if err != nil || run.Drained == nil || res.Point != nil {
		return res, err
	}
	p := cdp.Point{Frame: run.Drained.Frame}
	named, err := s.deps.Journal.Resolve(ctx, api.ResolveRequest{Group: cdp.GroupID(run.Job), Point: p.ID()})
	if err == nil && named.Seq == res.Seq {
		return named, nil
	}
	return res, nil // only the time is unknown
}
