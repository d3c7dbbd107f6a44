package scheduler

import (
	"context"
	"slices"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/jobrules"
)

const opDelete = "delete job"

// DeleteJob handles scheduler.job-delete. While the vcenter service is at work it
// is Transient, so that the command comes again.
func (s *Service) DeleteJob(ctx context.Context, e event.Event) error {
	var p event.JobDelete
	if err := e.Into(&p); err != nil {
		return err
	}
	d := deletion{api.JobDeleteRequest{Job: p.Job, DropPoints: p.DropPoints, Replicas: p.Replicas, Force: p.Force, ForgetOwed: p.ForgetOwed}, e.ID}
	done, err := s.deleted(ctx, d)
	switch {
	case err != nil:
	case done: // its event may be lost
		err = s.deps.Events.Emit(ctx, event.JobDeleted{Job: p.Job})
	default:
		var progress api.Progress
		if progress, err = s.delete(ctx, d); err == nil && !progress.Done {
			err = cdp.Errorf(cdp.Transient, opDelete, p.Job, "not done yet: %s", progress.Text)
		}
	}
	return cdp.Wrap(err, opDelete, p.Job)
}

// delete handles api.JobDelete.
func (s *Service) delete(ctx context.Context, r deletion) (api.Progress, error) {
	p, err := s.deleteAny(ctx, r)
	if err == nil && p.Done {
		err = s.deps.Events.Emit(ctx, event.JobDeleted{Job: r.Job})
	}
	return p, err // as it is: an asker can tell that the vcenter service is silent
}

func (s *Service) deleteAny(ctx context.Context, r deletion) (api.Progress, error) {
	vmJob, rev, err := found(s.deps.VMJobs.Get(ctx, r.Job))
	if err != nil {
		return api.Progress{}, err
	}
	if vmJob != nil {
		if err := s.agreedToDelete(ctx, r, rev); err != nil {
			return api.Progress{}, err
		}
		return s.deleteVMJob(ctx, r, rev)
	}
	job, rev, err := found(s.deps.Jobs.Get(ctx, r.Job))
	switch {
	case cdp.Is(err, cdp.Corrupt): // a job without a description can be deleted
	case err != nil:
		return api.Progress{}, err
	case job == nil:
		return api.Progress{}, cdp.Errorf(cdp.NotFound, opDelete, r.Job, "there is no such job at site %s", s.cfg.Here.Site).
			WithHint("list the jobs: tidemark get job")
	}
	if err := s.agreedToDelete(ctx, r, rev); err != nil {
		return api.Progress{}, err
	}
	switch {
	case job.Of != "":
		return s.releaseVM(ctx, r, *job, rev)
	case r.Replicas:
		return api.Progress{}, cdp.Errorf(cdp.Invalid, opDelete, r.Job, "only the replicas of a job on VMs can be deleted with it: those of %s are images, which are removed by hand", r.Job)
	}
	err = s.deleteDisks(ctx, r, rev)
	return api.Progress{Done: true, Text: s.keptText(ctx, r.Job)}, err
}

// keptText says what stays of a deleted job because of its retention lock.
func (s *Service) keptText(ctx context.Context, job string) string {
	lock, err := s.deps.Journal.Lock(ctx, cdp.GroupID(job))
	if err != nil || lock == nil || lock.Left == 0 {
		return ""
	}
	return "the retention lock keeps its recovery points for another " + spec.Duration(lock.Left.Round(time.Second)).String() + "; to use them, apply the job again"
}

// unlocked is Conflict while a retention lock holds points of a VM.
func (s *Service) unlocked(ctx context.Context, j spec.ReplicationJob) error {
	lock, err := s.deps.Journal.Lock(ctx, j.Group())
	switch {
	case err != nil && j.Journal.Lock > 0:
		return (&cdp.Error{Op: "read retention lock", Kind: cdp.Transient, Subject: j.Name, Cause: err}).
			WithHint("a job with a retention lock is deleted only while the journal service answers")
	case err != nil || lock == nil:
		return nil
	}
	return jobrules.Unlocked(j.Name, lock.Left)
}

// deleteDisks deletes a job of disks. Its journal is dropped by the journal
// service, which watches the jobs.
func (s *Service) deleteDisks(ctx context.Context, r deletion, revision uint64) error {
	s.writes.Lock()
	defer s.writes.Unlock()
	running, err := s.runs(ctx, r.Job)
	if err == nil {
		err = jobrules.Deletable(r.Job, running)
	}
	if err == nil {
		err = s.droppable(ctx, r.Job, false, r.JobDeleteRequest)
	}
	if err == nil {
		err = s.note(ctx, r, revision)
	}
	if err != nil {
		return err
	}
	return s.deps.Jobs.Delete(ctx, r.Job, revision)
}

// droppable says whether a group may be ended: no failover run needs it, nothing is
// owed at its source or that may be forgotten, none of its exports is open or they may
// be closed, and it has no recovery points or they may be dropped.
func (s *Service) droppable(ctx context.Context, group string, ofVM bool, r api.JobDeleteRequest) error {
	run, err := s.deps.Failovers.Run(ctx, group)
	if err == nil {
		err = jobrules.Idle(group, run, ofVM)
	}
	if err == nil && !r.ForgetOwed {
		err = jobrules.Settled(group, run)
	}
	if err == nil && !r.Force {
		err = s.unexported(ctx, group)
	}
	if err != nil || r.DropPoints {
		return err
	}
	points, err := s.deps.Journal.Points(ctx, cdp.GroupID(group))
	if err != nil { // it may have some
		e := &cdp.Error{Op: "count recovery points", Kind: cdp.Conflict, Cause: err}
		return e.WithHint("to delete the job whatever it has: --yes")
	}
	return jobrules.Pointless(group, points)
}

// unexported is Conflict while exports of a group are open. A journal that does not
// answer serves none that could be seen, and is no reason to keep the job.
func (s *Service) unexported(ctx context.Context, group string) error {
	open, err := s.deps.Journal.Exports(ctx, cdp.GroupID(group))
	if err != nil {
		return nil
	}
	return jobrules.Unused(group, open)
}

// deleteVMJob ends a job on VMs at the vCenters first, and then deletes it, so
// that an interrupted deletion can be asked for again.
func (s *Service) deleteVMJob(ctx context.Context, r deletion, revision uint64) (api.Progress, error) {
	var none api.Progress
	running, err := s.vmJobRuns(ctx, r.Job)
	if err == nil {
		err = jobrules.Deletable(r.Job, running)
	}
	if err != nil {
		return none, err
	}
	jobs, err := s.deps.Jobs.List(ctx)
	if err != nil {
		return none, err
	}
	for _, j := range jobs {
		if j.Of != r.Job {
			continue
		}
		if err := s.droppable(ctx, j.Name, true, r.JobDeleteRequest); err != nil {
			return none, err
		}
		if err := s.unlocked(ctx, j); err != nil {
			return none, err
		}
	}
	p, err := s.deps.VMs.Delete(ctx, api.VMJobDeleteRequest{Job: r.Job, Replicas: r.Replicas})
	if err == nil && p.Done {
		err = s.note(ctx, r, revision)
	}
	if err != nil || !p.Done {
		return p, err
	}
	return p, s.deps.VMJobs.Delete(ctx, r.Job, revision)
}

// releaseVM ends the protection of one VM that its job does not select any more.
func (s *Service) releaseVM(ctx context.Context, r deletion, j spec.ReplicationJob, revision uint64) (api.Progress, error) {
	st, err := s.deps.VMs.State(ctx, j.Of)
	if err != nil && !cdp.Is(err, cdp.NotFound) {
		return api.Progress{}, err
	}
	left := slices.ContainsFunc(st.Members, func(m api.VMMember) bool { return m.Group == j.Group() && m.State == inventory.Gone })
	if err := jobrules.Released(j, !left); err != nil {
		return api.Progress{}, err
	}
	if err := s.droppable(ctx, j.Name, true, r.JobDeleteRequest); err != nil {
		return api.Progress{}, err
	}
	if err := s.unlocked(ctx, j); err != nil {
		return api.Progress{}, err
	}
	if err := s.note(ctx, r, revision); err != nil {
		return api.Progress{}, err
	}
	return s.deps.VMs.Delete(ctx, api.VMJobDeleteRequest{Job: j.Of, Group: j.Group(), Replicas: r.Replicas})
}
