package vcenter

import (
	"context"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/vmpolicy"
)

// jobReverse handles api.VMJobReverse: the job that leads back from the failover of a VM
// of this site, and all that stands in its way.
func (s *jobControl) jobReverse(ctx context.Context, r api.VMReverseRequest) (any, error) {
	const op = "reverse job"
	was, err := s.sourced.VMJob(ctx, r.Of.Of)
	if err != nil {
		return nil, cdp.Wrap(err, op, r.Of.Name)
	}
	vc, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	old, err := vc.VM(ctx, r.Of.Source.VM)
	if cdp.Is(err, cdp.NotFound) {
		return nil, cdp.Errorf(cdp.NotFound, op, r.Of.Name, "the VM that it protected is not at this vCenter any more").
			WithHint("protect the VM that runs now with a new job on VMs: source.vms: [{uuid: " + r.VM + "}]")
	}
	if err != nil {
		return nil, err
	}
	inv, err := s.cache.fresh(ctx)
	if err != nil {
		return nil, err
	}
	reply := api.VMReverseReply{Problems: []inventory.Problem{}}
	x := spec.VMJob{SourceSite: r.Of.Target.Site, TargetSite: r.Of.Source.Site, RPO: r.Of.RPO, FailIfRPOExceeds: r.Of.FailIfRPOExceeds, Journal: r.Of.Journal, Reverses: &r.Reverses}
	x.Job, reply.Warnings = vmpolicy.Reverse(was.Job, r.Name, r.VM, old, inv)
	if r.Capture != "" && r.Capture != x.Job.Source.Capture {
		x.Job.Source.Capture, x.Job.Source.Filter, x.Job.Source.Quiesce = r.Capture, "", false
	}
	reply.Job = x
	found, err := s.jobCheck(ctx, api.VMJobCheckRequest{Job: x})
	if err != nil {
		return nil, err
	}
	checked := found.(api.JobCheckReply)
	reply.Problems = append(reply.Problems, checked.Problems...)
	for _, w := range checked.Warnings {
		reply.Warnings = append(reply.Warnings, w.Text)
	}
	now, err := s.sourceMembers(ctx, x.SourceSite, x.Job.Source.VMs)
	if err != nil || len(now.VMs) != 1 {
		return reply, nil // a problem says so
	}
	reply.Problems = append(reply.Problems, vmpolicy.CheckOld(old, now.VMs[0])...)
	disks, _ := vmpolicy.OldDisks(old, now.VMs[0])
	for _, d := range disks {
		reply.Overwrites = append(reply.Overwrites, api.DiskFacts{Path: d.File, Size: max(d.Disk.Size, d.Extend)})
	}
	return reply, nil
}
