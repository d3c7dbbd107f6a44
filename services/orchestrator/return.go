package orchestrator

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/failback"
	"tidemark.dev/pkg/core/failoverrun"
	"tidemark.dev/pkg/core/health"
	"tidemark.dev/pkg/core/plan"
)

// reprotect has the machine of a job, which runs at another site since a committed
// failover, protected to this one, and waits until it is.
func (s *Service) reprotect(ctx context.Context, run plan.Run, t plan.Task, until *deadline) (string, error) {
	a := run.Action(t.Action)
	return s.homeward(ctx, until, *a.Reprotect, func(seen failback.Seen) (bool, string, error) {
		switch {
		case seen.Moved():
			return true, "", cdp.Errorf(cdp.Conflict, "reprotect job", seen.Job.Name, "its machine runs here since the failover %s: it is reprotected at %s", seen.Run.ID, seen.Job.Source.Site)
		case seen.Job.Reverses != nil && !seen.Reversed():
			return true, "", cdp.Errorf(cdp.Conflict, "reprotect job", seen.Job.Name, "its failover %s is %s", seen.Run.ID, seen.Run.Phase)
		case !seen.Protected:
			return false, "", nil
		}
		return true, fmt.Sprintf("%s replicates %s, and is protected", seen.Job.Name, seen.Job.Direction()) + s.copied(ctx, seen), nil
	})
}

// failback brings the machine of a job home: it is protected to this site, failed over as
// planned, and that is committed. Each step follows from what both sites show, so an
// attempt goes on where the last one stopped.
func (s *Service) failback(ctx context.Context, run plan.Run, t plan.Task, until *deadline) (string, error) {
	const op = "fail back"
	home := *run.Action(t.Action).Failback
	id := failback.RunPrefix + short(run.Ref(t.Action, t.Attempt))
	copied := "" // it is known until the failover home begins
	return s.homeward(ctx, until, home, func(seen failback.Seen) (bool, string, error) {
		next, err := failback.Next(seen)
		job := seen.Job.Name
		switch {
		case err != nil:
			return true, "", err
		case next == failback.Reprotect: // that is done at the site it came from
			return true, fmt.Sprintf("it is home. It is not protected until that is asked for at %s: tidemark reprotect %s", seen.Job.Source.Site, job) + copied, nil
		case next == failback.Home:
			return true, fmt.Sprintf("it is home, and replicates %s", seen.Job.Direction()), nil
		case next == failback.Commit:
			return false, "", s.deps.Failovers.End(ctx, job, Ending{Goal: recovery.Commit, Run: seen.Run.ID})
		case next == failback.Failover && seen.Run != nil && seen.Run.ID == id:
			return true, "", cdp.Errorf(cdp.Conflict, op, job, "the failover home has failed: %s", seen.Run.Summary()).WithHint(seen.Run.Hint)
		case next == failback.Failover:
			req := failoverrun.Request{Job: job, ID: id, Mode: recovery.Production, To: recovery.ToFiles, Planned: true, Shutdown: home.Shutdown, CommitPolicy: recovery.PolicyNone}
			if seen.Job.Of != "" {
				req.To = recovery.ToVM
			}
			copied = s.copied(ctx, seen)
			return false, "", s.deps.Failovers.Start(ctx, req)
		}
		return false, "", nil // it is on its way, or copied
	})
}

// copied says how much of a machine's old disks differed from what it has now; empty: that
// is not known.
func (s *Service) copied(ctx context.Context, seen failback.Seen) string {
	compared, sent, err := s.deps.Returns.Copied(ctx, seen.Job.Name)
	if err != nil || compared == 0 || !seen.Job.Adopts() {
		return ""
	}
	return fmt.Sprintf("; of its disks %s of %s differed and were sent", health.BytesText(sent), health.BytesText(compared))
}

// homeward does the steps that a machine's way to this site begins with, and hands what is
// seen of the reversed job to next until that says that it is done. What may pass is
// waited for.
func (s *Service) homeward(ctx context.Context, until *deadline, r spec.ReturnAction, next func(failback.Seen) (bool, string, error)) (string, error) {
	for retry := s.backoff(); ; {
		done, text, err := s.homewardStep(ctx, r, next)
		if done || err != nil && !cdp.Is(err, cdp.Transient) && !cdp.Is(err, cdp.Full) {
			return text, err
		}
		pause := s.cfg.PollEvery
		if err != nil {
			pause = retry.Next()
		}
		if !s.pause(ctx, until, pause) {
			if err == nil {
				err = cdp.Errorf(cdp.Transient, "bring home", r.Job, "it is not done in time: %s", text)
			}
			return "", err
		}
	}
}

// homewardStep is one step of homeward; text says what is waited for.
func (s *Service) homewardStep(ctx context.Context, r spec.ReturnAction, next func(failback.Seen) (bool, string, error)) (done bool, text string, err error) {
	seen, err := s.deps.Returns.InForce(s.deps.Tracer.Silent(ctx), r.Job)
	if err != nil {
		return false, "", err
	}
	here := s.cfg.Site
	underWay := seen.Run != nil && !seen.Run.Over() && seen.Run.Mode == recovery.Production
	switch j := seen.Job; {
	case j.Target.Site == here:
		done, text, err = next(seen)
		if text == "" && !done {
			text = "it is being copied and compared"
		}
		return done, text, err
	case j.Source.Site != here:
		return true, "", cdp.Errorf(cdp.Conflict, "bring home", j.Name, "it replicates %s, and this is %s", j.Direction(), here)
	case seen.Moved():
		reply, err := s.deps.Returns.Reprotect(ctx, api.ReprotectRequest{Job: j.Name, Site: j.Target.Site, Run: seen.Run.ID, Disks: r.Disks, Yes: r.Overwrite})
		return false, reply.Text, err
	case underWay:
		return true, "", cdp.Errorf(cdp.Conflict, "bring home", j.Name, "its failover %s is %s", seen.Run.ID, seen.Run.Phase).
			WithHint(fmt.Sprintf("end it first: tidemark failover commit %s --site %s", j.Name, j.Target.Site))
	}
	return true, "nothing to bring home: it runs here", nil
}

// short is a name of 12 characters for something that has a longer one.
func short(ref string) string {
	sum := sha256.Sum256([]byte(ref))
	return hex.EncodeToString(sum[:6])
}
