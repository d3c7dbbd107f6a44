package vcenter

import (
	"cmp"
	"context"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/vmpolicy"
)

// jobReverse handles api.VMJobReverse: the job that leads back from the failover of a VM
// to this site, and all that stands in its way.
func (s *jobControl) jobReverse(ctx context.Context, r api.VMReverseRequest) (any, error) {
	const op = "reverse job"
	was, err := s.sourced.VMJob(ctx, r.Of.Target.Site, r.Of.Of)
	if err != nil {
		return nil, cdp.Wrap(err, op, r.Of.Name)
	}
	inv, err := s.cache.fresh(ctx)
	if err != nil {
		return nil, err
	}
	reply := api.VMReverseReply{Problems: []inventory.Problem{}}
	x := spec.VMJob{SourceSite: r.Of.Target.Site, TargetSite: cmp.Or(r.Site, r.Of.Source.Site), RPO: r.Of.RPO, FailIfRPOExceeds: r.Of.FailIfRPOExceeds, Journal: r.Of.Journal, Reverses: &r.Reverses}
	var old inventory.VM
	if r.Place != nil {
		x.Job, reply.Warnings = vmpolicy.ReverseAnew(was.Job, r.Name, r.VM, *r.Place, x.TargetSite == r.Of.Source.Site, inv)
	} else {
		if old, err = s.oldVM(ctx, r); err != nil {
			return nil, cdp.Wrap(err, op, r.Of.Name)
		}
		x.Job, reply.Warnings = vmpolicy.Reverse(was.Job, r.Name, r.VM, old, inv)
	}
	if r.Capture != "" && r.Capture != x.Job.Source.Capture {
		x.Job.Source.Capture, x.Job.Source.Filter, x.Job.Source.Quiesce = r.Capture, "", false
	}
	now, failed := s.sourceMembers(ctx, x.SourceSite, x.Job.Source.VMs)
	if failed == nil && len(now.VMs) == 1 {
		for i := range x.Job.Target.Seeds { // of the one VM of the job
			x.Job.Target.Seeds[i].VM = now.VMs[0].Name
		}
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
	if failed != nil || len(now.VMs) != 1 {
		return reply, nil // a problem says so
	}
	if r.Place != nil {
		reply.Overwrites, reply.Copies = anew(x.Job, now.VMs[0])
		return reply, nil
	}
	reply.Problems = append(reply.Problems, vmpolicy.CheckOld(old, now.VMs[0])...)
	disks, _ := vmpolicy.OldDisks(old, now.VMs[0])
	for _, d := range disks {
		reply.Overwrites = append(reply.Overwrites, api.DiskFacts{Path: d.File, Size: max(d.Disk.Size, d.Extend)})
	}
	return reply, nil
}

// oldVM is the VM that a failover came from. NotFound, with what to do without it.
func (s *jobControl) oldVM(ctx context.Context, r api.VMReverseRequest) (inventory.VM, error) {
	vc, err := s.connect(ctx)
	if err != nil {
		return inventory.VM{}, err
	}
	old, err := vc.VM(ctx, r.Of.Source.VM)
	if cdp.Is(err, cdp.NotFound) {
		err = cdp.Errorf(cdp.NotFound, "find the old VM", r.Of.Source.VM, "the VM that it protected is not at this vCenter any more").
			WithHint("say where a new VM is made, to which everything is copied: --host NAME or --cluster NAME, and --datastore NAME; where files of its disks are left, --seed DISK=FILE saves the copy")
	}
	return old, err
}

// anew is what a new VM for v overwrites, the seeds of its disks, and how many bytes are
// copied to new disks.
func anew(j inventory.Job, v inventory.VM) (seeds []api.DiskFacts, copies int64) {
	for _, d := range j.Source.Chosen(v) {
		if seed := j.Target.SeedOf(v, d); seed != "" {
			seeds = append(seeds, api.DiskFacts{Path: seed, Size: d.Size})
		} else {
			copies += d.Size
		}
	}
	return seeds, copies
}
