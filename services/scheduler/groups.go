package scheduler

import (
	"context"
	"crypto/rand"
	"slices"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/core/jobrules"
)

// Endpoints are what the service answers.
func (s *Service) Endpoints() map[string]api.Endpoint {
	return map[string]api.Endpoint{
		api.JobApply:      api.Answer(func(ctx context.Context, r api.ApplyRequest) (any, error) { return s.apply(ctx, r) }),
		api.JobDelete:     api.Answer(func(ctx context.Context, r api.JobDeleteRequest) (any, error) { return s.delete(ctx, deletion{r, ""}) }),
		api.JobReprotect:  api.Answer(func(ctx context.Context, r api.ReprotectRequest) (any, error) { return s.reprotect(ctx, r) }),
		api.JobApprove:    api.Answer(s.approve),
		api.VMGroupApply:  api.Answer(s.applyGroup),
		api.VMGroupDelete: api.Answer(s.deleteGroup),
	}
}

// applyGroup handles api.VMGroupApply: it writes the job of one VM for the
// vcenter service, which has checked the VM.
func (s *Service) applyGroup(ctx context.Context, r api.VMGroupApplyRequest) (any, error) {
	s.writes.Lock()
	defer s.writes.Unlock()
	name := r.Job.Name
	job, rev, err := found(s.deps.Jobs.Get(ctx, name))
	if err != nil {
		return nil, cdp.Wrap(err, opApply, name)
	}
	vmJob, _, err := found(s.deps.VMJobs.Get(ctx, name))
	if err == nil {
		err = s.cfg.Here.Group(r.Job, jobrules.Stored{Job: job, VMJob: vmJob})
	}
	if err == nil && job == nil {
		err = s.roomForGroup(ctx, r.Job)
	}
	if err == nil && (job == nil || !slices.Equal(job.Target.Disks, r.Job.Target.Disks)) {
		err = s.disksForGroup(ctx, r.Job)
	}
	if err == nil {
		if r.Job.ID = rand.Text(); job != nil {
			r.Job.ID = job.ID
		}
		_, err = s.deps.Jobs.Put(ctx, name, r.Job, rev)
	}
	return api.Empty{}, cdp.Wrap(err, opApply, name)
}

// deleteGroup handles api.VMGroupDelete.
func (s *Service) deleteGroup(ctx context.Context, r api.GroupRequest) (any, error) {
	s.writes.Lock()
	defer s.writes.Unlock()
	name := string(r.Group)
	job, rev, err := found(s.deps.Jobs.Get(ctx, name))
	switch {
	case err != nil:
	case job == nil:
		return api.Empty{}, nil
	case job.Of == "":
		err = cdp.Errorf(cdp.Conflict, opDelete, name, "it is not the job of a VM")
	default:
		err = s.deps.Jobs.Delete(ctx, name, rev)
	}
	return api.Empty{}, cdp.Wrap(err, opDelete, name)
}
