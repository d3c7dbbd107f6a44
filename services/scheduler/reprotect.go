package scheduler

import (
	"context"
	"crypto/rand"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/failback"
	"tidemark.dev/pkg/core/failoverrun"
	"tidemark.dev/pkg/core/jobrules"
)

const opReprotect = "reprotect job"

// reversal is a reprotection, as far as it stands: all of it is read again by each
// request, so that an interrupted one goes on.
type reversal struct {
	job      spec.ReplicationJob // as it is to be
	now      current
	do       jobrules.Reversal
	captured *api.CaptureGroup // the old disks, as they are captured here; nil: they are not
	run      *failoverrun.Run  // the failover to lead back from
	wasHere  *failoverrun.Run  // the last failover of the reversed job's name
}

// reprotect handles api.JobReprotect.
func (s *Service) reprotect(ctx context.Context, r api.ReprotectRequest) (api.ReprotectReply, error) {
	reply, err := s.reprotectJob(ctx, r)
	return reply, cdp.Wrap(err, opReprotect, r.Job)
}

func (s *Service) reprotectJob(ctx context.Context, r api.ReprotectRequest) (api.ReprotectReply, error) {
	s.writes.Lock()
	defer s.writes.Unlock()
	reply := api.ReprotectReply{}
	if r.To != "" && r.To != s.cfg.Here.Site {
		return reply, cdp.Errorf(cdp.Invalid, opReprotect, r.Job, "it is to go to %s, and this is %s", r.To, s.cfg.Here.Site)
	}
	old, run, late, err := s.failedOver(ctx, r)
	switch {
	case err != nil:
		return reply, err
	case late:
		reply.Text = "the site " + string(r.Site) + " has to send what it knows of the failover " + r.Run
		return reply, nil
	case old.Of != "":
		return s.reprotectVM(ctx, r, old, run)
	}
	x, err := s.reversal(ctx, r, old, run)
	reply.Job = x.job
	switch {
	case err != nil:
		return reply, err
	case x.do == jobrules.Present && r.DryRun:
		reply.Done = true
		return reply, nil
	case x.do == jobrules.Present:
		reply.Done = true
		return reply, s.start(ctx, x.job)
	}
	if err := s.offer(ctx, &x, &reply); err != nil || r.DryRun || len(reply.Problems) > 0 {
		return reply, err
	}
	if !r.Yes && (len(reply.Overwrites) > 0 || reply.Drops > 0) {
		return reply, cdp.Errorf(cdp.Conflict, opReprotect, r.Job, "%s", failback.OfferText(reply)).WithHint("if that is meant: --yes")
	}
	if x.do == jobrules.Replace {
		reply.Text = "what is left of the round before of " + x.job.Name + " is removed"
		return reply, s.removeRound(ctx, x)
	}
	gone, err := s.deps.Journal.Gone(ctx, x.job.Group())
	if err != nil || !gone {
		reply.Text = "the journal of the round before of " + x.job.Name + " is being removed"
		return reply, err
	}
	x.job.ID = rand.Text()
	rev, err := s.deps.Jobs.Put(ctx, x.job.Name, x.job, x.now.revision)
	if err == nil {
		err = s.deps.Events.Emit(ctx, event.JobApplied{Job: x.job.Name, Revision: rev})
	}
	if err != nil {
		return reply, err
	}
	reply.Done = true
	return reply, s.start(ctx, x.job)
}

// failedOver is the failed over job and its failover, as they were copied here. late: the
// copies are older than what is asked.
func (s *Service) failedOver(ctx context.Context, r api.ReprotectRequest) (old spec.ReplicationJob, run *failoverrun.Run, late bool, err error) {
	old, err = s.deps.Linked.Job(ctx, r.Site, r.Job)
	if cdp.Is(err, cdp.NotFound) {
		err = cdp.Errorf(cdp.NotFound, opReprotect, r.Job, "the site %s has no such job, as far as it is known here", r.Site)
	}
	if err == nil {
		run, err = s.deps.Linked.Failover(ctx, r.Site, r.Job)
	}
	late = err == nil && r.Run != "" && (run == nil || run.ID != r.Run || failback.Committed(old, run) != nil)
	return old, run, late, err
}

// reversal reads what is stored under the name of the reversed job.
func (s *Service) reversal(ctx context.Context, r api.ReprotectRequest, old spec.ReplicationJob, run *failoverrun.Run) (x reversal, err error) {
	x.run = run
	want := failback.Want{Round: r.Round, To: r.To, Name: r.As, Disks: r.Disks, Capture: r.Capture, Listen: r.Listen}
	name, err := failback.Name(old, want)
	if err == nil {
		x.now, err = s.read(ctx, spec.Object{Job: &spec.ReplicationJob{Name: name}})
	}
	if err == nil {
		x.wasHere, err = s.deps.Failovers.Run(ctx, name)
	}
	if err != nil {
		return x, err
	}
	if x.job, err = failback.Reverse(old, x.run, x.before(old), want); err != nil {
		return x, err
	}
	jobs, err := s.deps.Jobs.List(ctx)
	if err != nil {
		return x, err
	}
	if x.do, err = s.cfg.Here.Reverse(x.job, old.Reverses, x.now.Stored, jobs, x.wasHere); err == nil && x.do == jobrules.Present {
		x.job = *x.now.Job
	}
	return x, err
}

// before is the round before of the reversed job. The record of its failover outlives it.
func (x reversal) before(old spec.ReplicationJob) *spec.ReplicationJob {
	switch {
	case x.now.Job != nil && x.now.Job.Round() < old.Round():
		return x.now.Job
	case x.wasHere != nil && old.Retires(x.wasHere.Pinned.Spec.Target.Site, x.wasHere.Job, x.wasHere.Pinned.Spec.Round()):
		return &x.wasHere.Pinned.Spec
	}
	return nil
}

// offer adds what a reversal would overwrite and drop, and what refuses it.
func (s *Service) offer(ctx context.Context, x *reversal, reply *api.ReprotectReply) error {
	if reply.Problems = s.room(ctx, x.job); len(reply.Problems) > 0 {
		return nil
	}
	if x.do == jobrules.Replace {
		lock, err := s.deps.Journal.Lock(ctx, x.job.Group())
		if err == nil && lock != nil {
			err = jobrules.Unlocked(x.job.Name, lock.Left)
		}
		if err != nil {
			return err
		}
		if reply.Drops, err = s.deps.Journal.Points(ctx, x.job.Group()); err != nil {
			return err
		}
	}
	jobs, err := s.deps.Jobs.List(ctx)
	if err != nil {
		return err
	}
	look := api.ApplyReply{}
	places, err := s.places(ctx, x.job, jobs, &look)
	if err != nil {
		return err
	}
	if reply.Problems = look.Problems; len(reply.Problems) == 0 {
		reply.Problems = places.Check(s.cfg.Here, x.job, jobs, 0)
	}
	if len(reply.Problems) > 0 {
		return nil
	}
	if !x.job.Adopts() {
		for _, d := range x.job.Source.Disks {
			reply.Copies += max(int64(d.Size), places.Source[d.Path].Size)
		}
		return nil
	}
	for _, d := range x.job.Target.Disks {
		reply.Overwrites = append(reply.Overwrites, places.Replica[d.Path])
	}
	if x.captured, err = s.deps.Sources.Group(ctx, s.cfg.Here.Site, cdp.GroupID(x.job.Reverses.Job)); err != nil {
		return cdp.Wrap(err, "ask who uses the old disks", x.job.Reverses.Job)
	}
	if c := x.captured; c != nil && c.Target == x.job.Reverses.Site && x.run.Resolved != nil {
		n := uint64(max(c.Seq, x.run.Resolved.Seq) - x.run.Resolved.Seq)
		reply.Diverged = &n
		return jobrules.Free(x.job, c)
	}
	return nil
}

// removeRound ends what is left of the round before: its journal was sealed when its
// failover was committed, and nothing of it can be read.
func (s *Service) removeRound(ctx context.Context, x reversal) error {
	st, rev, err := found(s.deps.Runs.Get(ctx, x.job.Name))
	if err != nil && !cdp.Is(err, cdp.Corrupt) {
		return err
	}
	if st.Running() {
		stopped := api.RunState{Desired: api.DesiredStopped, Reason: "the job is reversed again", Since: s.deps.Clock.Now()}
		if err := s.deps.Runs.Put(ctx, x.job.Name, stopped, rev); err != nil {
			return err
		}
	}
	if err := s.droppable(ctx, x.job.Name, false, api.JobDeleteRequest{Job: x.job.Name, DropPoints: true}); err != nil {
		return err
	}
	if err := s.deps.Jobs.Delete(ctx, x.job.Name, x.now.revision); err != nil {
		return err
	}
	return s.deps.Events.Emit(ctx, event.JobDeleted{Job: x.job.Name})
}

// start has a reversed job run.
func (s *Service) start(ctx context.Context, j spec.ReplicationJob) error {
	st, rev, err := found(s.deps.Runs.Get(ctx, j.Name))
	if err != nil && !cdp.Is(err, cdp.Corrupt) || st.Running() {
		return err
	}
	reason := "it leads back from the failover " + j.Reverses.Run + " of " + j.Reverses.Job
	if err := s.deps.Runs.Put(ctx, j.Name, api.RunState{Desired: api.DesiredRunning, Reason: reason, Since: s.deps.Clock.Now()}, rev); err != nil {
		return err
	}
	return s.deps.Events.Emit(ctx, event.JobStarted{Job: j.Name, Reason: reason})
}
