package failover

import (
	"context"
	"fmt"
	"strings"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/core/failoverrun"
	"tidemark.dev/pkg/core/health"
)

// do does one step and says what happened.
func (s *Service) do(ctx context.Context, run failoverrun.Run, step recovery.Step) failoverrun.Event {
	tctx, cancel := context.WithTimeout(ctx, s.cfg.StepTimeout)
	defer cancel()
	e := failoverrun.Event{What: failoverrun.StepDone, Step: step}
	var done bool
	var err error
	e.Result, done, err = s.request(tctx, run, step)
	switch {
	case err != nil:
		e.What, e.Err = failoverrun.StepRefused, err
	case !done:
		e.What = failoverrun.StepMoved
	}
	return e
}

// request makes the request of a step. If it is not done, it is made again.
func (s *Service) request(ctx context.Context, run failoverrun.Run, step recovery.Step) (r failoverrun.Result, done bool, err error) {
	g := cdp.GroupID(run.Job)
	ofRun := api.RunRequest{Group: g, Run: run.ID}
	export := api.CloseRequest{Group: g, ID: run.ExportID(), Force: true} // whoever ended the run was asked about clients
	switch step {
	case recovery.FenceVM:
		return s.fence(ctx, run)
	case recovery.Drain:
		return s.drain(ctx, run)
	case recovery.Arrive:
		return s.arrive(ctx, run)
	case recovery.Halt:
		return s.halt(ctx, run)
	case recovery.Resolve:
		res, err := s.resolve(ctx, run)
		return failoverrun.Result{Resolved: &res, Text: failoverrun.PointText(res)}, true, err
	case recovery.Open:
		x, err := s.deps.Exports.Open(ctx, api.OpenRequest{Group: g, ID: run.ExportID(), Seq: run.Resolved.Seq, Scratch: true, Listen: run.Listen, Purpose: string(run.Mode), Limit: run.ScratchLimit()})
		return failoverrun.Result{Export: &x, Text: "the disks are served: " + failoverrun.URIs(x)}, true, err
	case recovery.Close:
		text := s.outcome(ctx, run)
		err := s.deps.Exports.Close(ctx, export)
		if cdp.Is(err, cdp.NotFound) {
			err = nil
		}
		return failoverrun.Result{Text: text}, true, err
	case recovery.Move:
		m, err := s.deps.Replica.Move(ctx, api.MoveRequest{Group: g, Run: run.ID, Seq: run.Resolved.Seq})
		return moved(run, m, err, "the replica holds the point")
	case recovery.Absorb:
		m, err := s.deps.Exports.Absorb(ctx, export)
		return moved(run, m, err, "the replica holds what the VM wrote")
	case recovery.Seal:
		x, err := s.deps.Replica.Seal(ctx, ofRun)
		if run.To == recovery.ToVM { // the images are the VM's, and elsewhere
			return failoverrun.Result{Text: "the journal has ended: the VM has the disks"}, true, err
		}
		return failoverrun.Result{Paths: x.Paths, Text: "the replica is the disk: " + strings.Join(x.Paths, " ")}, true, err
	case recovery.Resume:
		b, err := s.deps.Replica.Resume(ctx, ofRun)
		return failoverrun.Result{Text: fmt.Sprintf("the journal takes writes again, after write %d", b.Head)}, true, err
	case recovery.Release:
		err := s.deps.Replica.Release(ctx, ofRun)
		return failoverrun.Result{Text: "the journal has released the replica's disks"}, true, err
	case recovery.Fill:
		return s.fill(ctx, run)
	case recovery.Attest:
		return s.attest(ctx, run)
	}
	return s.vm(ctx, run, step)
}

// attest writes the verdict of a test to its point. The test ends even if that fails: the
// step says why, and the verdict stays in the run's record.
func (s *Service) attest(ctx context.Context, run failoverrun.Run) (failoverrun.Result, bool, error) {
	test := run.PointTest()
	p := *run.Resolved.Point
	_, err := s.deps.Journal.Tested(ctx, api.PointTestedRequest{Group: cdp.GroupID(run.Job), Point: p.ID(), Test: test})
	switch {
	case cdp.Is(err, cdp.Transient), cdp.Is(err, cdp.Full):
		return failoverrun.Result{}, false, err
	case cdp.Is(err, cdp.NotFound):
		return failoverrun.Result{Text: "the verdict " + string(test.Verdict) + " is kept here only: the point is gone"}, true, nil
	case err != nil:
		return failoverrun.Result{Text: "the verdict " + string(test.Verdict) + " is kept here only: " + err.Error()}, true, nil
	}
	return failoverrun.Result{Text: "the point " + p.ID() + " says that its test " + string(test.Verdict)}, true, nil
}

// outcome says what becomes of what was written to the run's disks. How much it was is
// left out if the journal does not say.
func (s *Service) outcome(ctx context.Context, run failoverrun.Run) string {
	const closed = "the disks are no longer served; "
	if run.Goal == recovery.Commit {
		return closed + "the replica holds what was written to them"
	}
	open, err := s.deps.Exports.ListExports(ctx, cdp.GroupID(run.Job))
	for _, x := range open.Exports {
		if x.ID == run.ExportID() && err == nil {
			return closed + health.BytesText(x.Written()) + " that was written to them is discarded"
		}
	}
	return closed + "what was written to them is discarded"
}

// moved is the answer of a step that copies data.
func moved(run failoverrun.Run, m api.MoveReply, err error, text string) (failoverrun.Result, bool, error) {
	r := failoverrun.Result{Moved: m.Moved, Total: m.Total}
	if err != nil || !m.Done {
		return r, false, err
	}
	r.Text = text
	if run.To == recovery.ToFiles {
		for _, d := range run.Pinned.Spec.Target.Disks {
			r.Paths = append(r.Paths, d.Path)
		}
	}
	return r, true, nil
}
