package scheduler

import (
	"context"
	"slices"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/failback"
	"tidemark.dev/pkg/core/failoverrun"
	"tidemark.dev/pkg/core/jobrules"
)

// reprotectVM is reprotectJob for the job of a VM. A job on VMs with that one VM leads
// back, and the vcenter service here makes the VM's old VM the replica, or a new one where
// that is asked for. It is done when the job of the VM is there, which it then replies.
func (s *Service) reprotectVM(ctx context.Context, r api.ReprotectRequest, old spec.ReplicationJob, run *failoverrun.Run) (api.ReprotectReply, error) {
	var reply api.ReprotectReply
	if len(r.Disks) > 0 || r.Listen != "" {
		return reply, cdp.Errorf(cdp.Invalid, opReprotect, r.Job, "--disk and --listen are for jobs of disks: the replica of a VM is the VM that it came from, or a new one").
			WithHint("for a new one: --host or --cluster, and --datastore")
	}
	if old.Source.Site != s.cfg.Here.Site && r.Place == nil {
		return reply, cdp.Errorf(cdp.Invalid, opReprotect, r.Job, "it came from %s, and this is %s, where a new VM has to be made", old.Source.Site, s.cfg.Here.Site).
			WithHint("say where: --host NAME or --cluster NAME, and --datastore NAME")
	}
	round, err := failback.Round(old, r.Round)
	if err != nil {
		return reply, err
	}
	rev, err := failback.ReversesVM(old, run, s.cfg.Here.Site, r.Place != nil, round)
	if err != nil {
		return reply, err
	}
	name, err := failback.VMName(old, r.As, round)
	if err != nil {
		return reply, err
	}
	there, err := s.reversedVM(ctx, name, rev, r.Place)
	if err != nil {
		return reply, err
	}
	if there && r.DryRun {
		return s.reversedGroup(ctx, name)
	}
	if there {
		return s.startVM(ctx, name)
	}
	x, err := s.deps.VMs.Reverse(ctx, api.VMReverseRequest{Name: name, Of: old, VM: run.VM.UUID, Reverses: rev, Capture: r.Capture, Site: s.cfg.Here.Site, Place: r.Place})
	if err != nil {
		return reply, err
	}
	reply = api.ReprotectReply{Overwrites: x.Overwrites, Copies: x.Copies, Warnings: x.Warnings, Problems: problems(x.Problems), Job: spec.ReplicationJob{Name: name, Of: name, Reverses: x.Job.Reverses,
		Source: spec.Source{Site: x.Job.SourceSite, Capture: x.Job.Source.Capture, VM: run.VM.UUID}, Target: spec.Target{Site: x.Job.TargetSite}}}
	if r.Place != nil {
		reply.Problems = append(reply.Problems, written(x.Job)...)
	}
	if r.DryRun || len(reply.Problems) > 0 {
		return reply, nil
	}
	if !r.Yes && len(x.Overwrites) > 0 {
		return reply, cdp.Errorf(cdp.Conflict, opReprotect, r.Job, "%s", failback.OfferText(reply)).WithHint("if that is meant: --yes")
	}
	if err := s.settings(ctx, &x.Job); err != nil {
		return reply, err
	}
	revision, err := s.deps.VMJobs.Put(ctx, name, x.Job, 0)
	if err == nil {
		err = s.deps.Events.Emit(ctx, event.JobApplied{Job: name, Revision: revision})
	}
	if err != nil {
		return reply, err
	}
	started, err := s.startVM(ctx, name)
	started.Warnings, started.Copies = x.Warnings, x.Copies
	return started, err
}

// written is what is wrong with a job as a document: its place was given by an operator.
func written(j spec.VMJob) []api.Problem {
	doc, err := spec.Document(spec.Object{VMJob: &j})
	if err != nil {
		return []api.Problem{{Kind: cdp.Invalid, Rule: "document", Text: err.Error()}}
	}
	_, reply, err := api.ReadDocument(api.ApplyRequest{Document: doc}, spec.KindJob)
	if err != nil {
		return []api.Problem{{Kind: cdp.Invalid, Rule: "document", Text: err.Error()}}
	}
	return reply.Problems
}

// reversedVM reports whether the reversed job is there. Conflict: its name is another
// job's, another job leads back from the same failover, or it leads to another place than
// the one that is asked for; nil: to any.
func (s *Service) reversedVM(ctx context.Context, name string, rev spec.Reverses, place *inventory.JobTarget) (bool, error) {
	jobs, err := s.deps.Jobs.List(ctx)
	if err != nil {
		return false, err
	}
	vm, _, err := found(s.deps.VMJobs.Get(ctx, name))
	if err != nil {
		return false, err
	}
	there, err := jobrules.ReversedVM(name, s.cfg.Here.Site, rev, vm, jobs)
	if is := vm; err == nil && there && place != nil && (is.Reverses.TakesBack() || is.Job.Target.Host != place.Host || is.Job.Target.Cluster != place.Cluster || is.Job.Target.Datastore != place.Datastore) {
		err = cdp.Errorf(cdp.Conflict, opReprotect, rev.Job, "the job %s reverses it already, to another place", name).
			WithHint("to have it there instead, end that one first, which keeps what it made: tidemark job stop " + name + "; tidemark delete job " + name)
	}
	return there, err
}

// settings are those of the first round, where the job leads forth again. A lock would
// keep a failover home from being committed until it is over.
func (s *Service) settings(ctx context.Context, j *spec.VMJob) error {
	j.Journal.Lock = 0
	if j.Reverses.Before == "" {
		return nil
	}
	first, _, err := found(s.deps.Jobs.Get(ctx, j.Reverses.Before))
	if err == nil && first != nil {
		j.RPO, j.FailIfRPOExceeds, j.Journal, j.Failover = first.RPO, first.FailIfRPOExceeds, first.Journal, first.Failover
	}
	return err
}

// startVM has a reversed job on VMs run.
func (s *Service) startVM(ctx context.Context, name string) (api.ReprotectReply, error) {
	if err := s.deps.VMs.Start(ctx, name); err != nil {
		return api.ReprotectReply{}, err
	}
	return s.reversedGroup(ctx, name)
}

// reversedGroup is the job of the VM of a reversed job, or what it waits for. The vcenter
// service writes that job and then has it run: it is done when both are.
func (s *Service) reversedGroup(ctx context.Context, name string) (api.ReprotectReply, error) {
	jobs, err := s.deps.Jobs.List(ctx)
	if err != nil {
		return api.ReprotectReply{}, err
	}
	if i := slices.IndexFunc(jobs, func(o spec.ReplicationJob) bool { return o.Of == name }); i >= 0 {
		run, _, err := found(s.deps.Runs.Get(ctx, jobs[i].Name))
		return api.ReprotectReply{Job: jobs[i], Done: run.Running(), Text: "the job of the VM is being started"}, err
	}
	reply := api.ReprotectReply{Text: "the old VM becomes the replica"}
	st, err := s.deps.VMs.State(ctx, name)
	if err != nil {
		return reply, nil // it says so when it is ready
	}
	if st.Trouble != "" {
		reply.Text += ": " + st.Trouble
	}
	for _, m := range st.Members {
		if m.Trouble != "" {
			reply.Text += ": " + m.Trouble
		}
	}
	return reply, nil
}
