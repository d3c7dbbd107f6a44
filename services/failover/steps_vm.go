package failover

import (
	"cmp"
	"context"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/core/failoverrun"
)

// vmEndpoint is the vcenter endpoint of a step, and the step's outcome in words
// where the vcenter service gives none.
func vmEndpoint(step recovery.Step) (endpoint, text string) {
	switch step {
	case recovery.Build:
		return api.VMBuild, "the test's VM and its empty disks are ready"
	case recovery.Attach:
		return api.VMAttach, "the VM has the disks"
	case recovery.Boot:
		return api.VMBoot, "the VM is on"
	case recovery.Check:
		return api.VMCheck, "the VM was checked"
	case recovery.Stop:
		return api.VMStop, "the VM is off"
	case recovery.Return:
		return api.VMReturn, "the disks are back at the transporter; what the VM wrote is discarded"
	case recovery.Keep:
		return api.VMKeep, "the replica VM is the VM, with what it wrote"
	case recovery.Remove:
		return api.VMRemove, "the test's VM and its disks are deleted"
	}
	return "", ""
}

// vm does a step of a failover to a VM.
func (s *Service) vm(ctx context.Context, run failoverrun.Run, step recovery.Step) (failoverrun.Result, bool, error) {
	endpoint, text := vmEndpoint(step)
	if endpoint == "" {
		return failoverrun.Result{}, false, cdp.Errorf(cdp.Internal, "do step", string(step), "there is no such step")
	}
	g := cdp.GroupID(run.Job)
	switch step {
	case recovery.Build: // the journal must keep the point until the disks are built
		if _, err := s.deps.Exports.Fill(ctx, api.FillRequest{Group: g, Run: run.ID, Seq: run.Resolved.Seq}); err != nil {
			return failoverrun.Result{}, false, err
		}
	case recovery.Remove: // nothing may write to the disks when they are deleted
		if err := s.deps.Exports.FillStop(ctx, api.RunRequest{Group: g, Run: run.ID}); err != nil && !cdp.Is(err, cdp.NotFound) {
			return failoverrun.Result{}, false, err
		}
	}
	job := run.Pinned.Spec
	var disks []cdp.Disk
	if run.Resolved != nil {
		disks = run.Resolved.Disks
	}
	a, err := s.deps.VMs.Do(ctx, endpoint, api.VMRunRequest{Job: run.Job, Disks: disks, Run: run.ID, Test: run.Mode == recovery.Test, NoReIP: run.NoReIP, Source: job.Source.Site, Target: job.Target.Site})
	r := failoverrun.Result{Text: a.Text, VM: a.VM, Moved: a.Moved, Total: a.Total}
	if err != nil || !a.Done {
		return r, false, err
	}
	switch {
	case step == recovery.Build:
		r.Paths = a.Paths
	case step == recovery.Check && a.VM != nil:
		text = failoverrun.ChecksText(*a.VM)
	}
	r.Text = cmp.Or(r.Text, text)
	return r, true, nil
}

// fill writes the point to the disks of the test's VM.
func (s *Service) fill(ctx context.Context, run failoverrun.Run) (failoverrun.Result, bool, error) {
	req := api.FillRequest{Group: cdp.GroupID(run.Job), Run: run.ID, Seq: run.Resolved.Seq, Paths: run.Scratch}
	for _, d := range run.Resolved.Disks {
		req.Disks = append(req.Disks, d.ID)
	}
	m, err := s.deps.Exports.Fill(ctx, req)
	return moved(run, m, err, "the disks of the test's VM hold the point")
}
