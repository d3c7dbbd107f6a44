package scheduler

import (
	"context"
	"crypto/rand"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/jobrules"
)

const opApply = "apply job"

// ApplyJob handles scheduler.job-apply.
func (s *Service) ApplyJob(ctx context.Context, e event.Event) error {
	var p event.JobApply
	if err := e.Into(&p); err != nil {
		return err
	}
	return api.ApplyNamed(ctx, spec.KindJob, p.Job, p.Document, s.apply)
}

// apply handles api.JobApply.
func (s *Service) apply(ctx context.Context, r api.ApplyRequest) (api.ApplyReply, error) {
	o, reply, err := api.ReadDocument(r, spec.KindJob)
	if err != nil || len(reply.Problems) > 0 {
		return reply, err
	}
	now, err := s.read(ctx, o)
	if err != nil {
		return reply, cdp.Wrap(err, opApply, o.Name())
	}
	if err := s.judge(ctx, o, now, &reply); err != nil {
		return reply, cdp.Wrap(err, opApply, o.Name())
	}
	if o.Job != nil && reply.Change == api.Created {
		if reply.Problems = s.room(ctx, *o.Job); len(reply.Problems) > 0 {
			reply.Change = ""
		}
	}
	if o.VMJob != nil && len(reply.Problems) == 0 {
		if err := s.checkVMs(ctx, *o.VMJob, &reply); err != nil {
			return reply, cdp.Wrap(err, "check job", o.Name())
		}
	}
	if o.Job != nil && len(reply.Problems) == 0 {
		if err := s.checkDisks(ctx, *o.Job, now, &reply); err != nil {
			return reply, cdp.Wrap(err, "check job", o.Name())
		}
	}
	if r.DryRun || len(reply.Problems) > 0 || reply.Change == api.Unchanged {
		return reply, nil
	}
	return reply, cdp.Wrap(s.write(ctx, o, &reply), opApply, o.Name())
}

// current is what is stored under a job's name.
type current struct {
	jobrules.Stored
	revision uint64 // of what the object would replace; 0: nothing
	// kept: the job was deleted, and the retention lock of its journal keeps that and
	// its replica. Job is what was deleted.
	kept bool
}

// read reads what is stored under the name of o. Something that cannot be read is as
// nothing if o would replace it. Whether a job runs is read only where it matters.
func (s *Service) read(ctx context.Context, o spec.Object) (current, error) {
	name := o.Name()
	job, jobRev, err := found(s.deps.Jobs.Get(ctx, name))
	lost := o.Job != nil && cdp.Is(err, cdp.Corrupt)
	if lost {
		job, err = nil, nil
	}
	if err != nil {
		return current{}, err
	}
	vmJob, vmRev, err := found(s.deps.VMJobs.Get(ctx, name))
	if o.VMJob != nil && cdp.Is(err, cdp.Corrupt) {
		vmJob, err = nil, nil
	}
	if err != nil {
		return current{}, err
	}
	x := current{Stored: jobrules.Stored{Job: job, VMJob: vmJob}, revision: jobRev}
	if o.Job != nil {
		*o.Job = jobrules.Continue(*o.Job, x.Stored)
	}
	switch {
	case o.VMJob != nil:
		*o.VMJob = jobrules.ContinueVMs(*o.VMJob, vmJob)
		x.revision = vmRev
		if vmJob != nil && vmJob.Source.Capture != o.VMJob.Source.Capture {
			x.Running, err = s.vmJobRuns(ctx, name)
		}
	case job != nil:
		x.Running, err = s.runs(ctx, name)
	case !lost && vmJob == nil:
		x.Job = s.deletedJob(ctx, name)
		x.kept = x.Job != nil
	case lost: // what it replaces is not known, so it must be in nobody's use
		if x.Running, err = s.runs(ctx, name); err == nil && x.Running {
			err = cdp.Errorf(cdp.Conflict, opApply, name, "its description cannot be read, and a job is replaced only while it is stopped").
				WithHint("stop it first: tidemark job stop " + name)
		}
	}
	return x, err
}

// deletedJob is the job of a journal that is there for its retention lock only; nil:
// there is none. A journal that does not answer is found silent when it is asked about
// the disks.
func (s *Service) deletedJob(ctx context.Context, name string) *spec.ReplicationJob {
	lock, err := s.deps.Journal.Lock(ctx, cdp.GroupID(name))
	if err != nil || lock == nil {
		return nil
	}
	return lock.Deleted
}

// judge adds to the reply what the change is, and what refuses it.
func (s *Service) judge(ctx context.Context, o spec.Object, now current, reply *api.ApplyReply) error {
	if o.VMJob != nil {
		reply.Change, reply.Problems = s.cfg.Here.VMs(*o.VMJob, now.Stored)
	} else {
		reply.Change, reply.Problems = s.cfg.Here.Disks(*o.Job, now.Stored)
	}
	if now.kept && reply.Change != "" {
		reply.Change = api.Created
	}
	if len(reply.Problems) > 0 {
		reply.Change = ""
		return nil
	}
	return s.agreedToShorten(ctx, o, now, reply)
}

// checkVMs adds what the vcenter services of both sites find about a job on VMs.
func (s *Service) checkVMs(ctx context.Context, j spec.VMJob, reply *api.ApplyReply) error {
	r, err := s.deps.VMs.Check(ctx, j)
	if err != nil {
		return err
	}
	reply.Problems, reply.Warnings = problems(r.Problems), problems(r.Warnings)
	if len(reply.Problems) > 0 {
		reply.Change = ""
	}
	n := len(r.VMs)
	reply.VMs = &n
	if reply.Change == api.Changed {
		reply.Joins, reply.Leaves = r.Joins, r.Leaves
	}
	return nil
}

func problems(ps []inventory.Problem) []api.Problem {
	var out []api.Problem
	for _, p := range ps {
		kind := cdp.Invalid
		if p.Rule == inventory.RuleUnreachable {
			kind = cdp.Transient
		}
		out = append(out, api.Problem{Kind: kind, VM: p.VM, Path: p.Path, Rule: p.Rule, Text: p.Text})
	}
	return out
}

// write stores a job that was found good, unless what is stored has changed meanwhile.
func (s *Service) write(ctx context.Context, o spec.Object, reply *api.ApplyReply) error {
	s.writes.Lock()
	defer s.writes.Unlock()
	now, err := s.read(ctx, o)
	if err != nil {
		return err
	}
	if err := s.judge(ctx, o, now, reply); err != nil {
		return err
	}
	if o.Job != nil && len(reply.Problems) == 0 { // another job may have taken the disks meanwhile
		if err := s.checkDisks(ctx, *o.Job, now, reply); err != nil {
			return err
		}
	}
	if len(reply.Problems) > 0 {
		return nil
	}
	var rev uint64
	if o.VMJob != nil {
		rev, err = s.deps.VMJobs.Put(ctx, o.Name(), *o.VMJob, now.revision)
	} else {
		if now.Job == nil {
			o.Job.ID = rand.Text()
		}
		rev, err = s.deps.Jobs.Put(ctx, o.Name(), *o.Job, now.revision)
	}
	if err != nil {
		return err
	}
	return s.deps.Events.Emit(ctx, event.JobApplied{Job: o.Name(), Revision: rev})
}

// runs says whether a job runs.
func (s *Service) runs(ctx context.Context, job string) (bool, error) {
	st, _, err := found(s.deps.Runs.Get(ctx, job))
	if cdp.Is(err, cdp.Corrupt) {
		return false, nil // as everybody takes it who cannot read it
	}
	return st.Running(), err
}

// vmJobRuns says whether a job on VMs runs; it does not before the vcenter service
// has taken it up.
func (s *Service) vmJobRuns(ctx context.Context, job string) (bool, error) {
	st, err := s.deps.VMs.State(ctx, job)
	if cdp.Is(err, cdp.NotFound) {
		err = nil
	}
	return st.Running, err
}

// found makes nil of NotFound.
func found[T any](v T, revision uint64, err error) (*T, uint64, error) {
	if cdp.Is(err, cdp.NotFound) {
		return nil, 0, nil
	}
	return &v, revision, err
}
