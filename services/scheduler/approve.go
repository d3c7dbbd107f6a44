package scheduler

import (
	"context"
	"strconv"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/approval"
	"tidemark.dev/pkg/core/jobrules"
)

// approve handles api.JobApprove.
func (s *Service) approve(ctx context.Context, l approval.Line) (any, error) {
	const op = "approve"
	if s.deps.Approvals == nil || l.Site != s.cfg.Here.Site {
		return nil, cdp.Errorf(cdp.Invalid, op, l.Job, "it is about site %q, and this one is %s", l.Site, s.cfg.Here.Site)
	}
	by, err := s.deps.Approvals.Keep(ctx, l)
	return api.ApproveReply{Agreed: by, Needed: approval.Needed}, cdp.Wrap(err, op, l.Job)
}

// agreed is Conflict unless two persons agreed to what is to be done to a job whose
// stored description has that revision, where the site asks for that.
func (s *Service) agreed(ctx context.Context, what approval.What, job string, revision uint64, detail string) error {
	if s.deps.Approvals == nil {
		return nil
	}
	of := "revision " + strconv.FormatUint(revision, 10)
	if detail != "" {
		of += ": " + detail
	}
	return s.deps.Approvals.Agreed(ctx, approval.Act{What: what, Job: job, Of: of})
}

// agreedToDelete is agreed for a deletion.
func (s *Service) agreedToDelete(ctx context.Context, r deletion, revision uint64) error {
	what := approval.Delete
	if r.Replicas {
		what = approval.DeleteReplicas
	}
	return s.agreed(ctx, what, r.Job, revision, "")
}

// agreedToShorten adds a problem if the journal of a stored job would keep less, and no
// two persons agreed to that.
func (s *Service) agreedToShorten(ctx context.Context, o spec.Object, now current, reply *api.ApplyReply) error {
	var less string
	switch {
	case o.VMJob != nil && now.VMJob != nil:
		less = jobrules.Shorter(o.VMJob.Journal, now.VMJob.Journal)
	case o.Job != nil && now.Job != nil:
		less = jobrules.Shorter(o.Job.Journal, now.Job.Journal)
	}
	if less == "" {
		return nil
	}
	err := s.agreed(ctx, approval.Shorten, o.Name(), now.revision, less)
	if !cdp.Is(err, cdp.Conflict) {
		return err
	}
	reply.Change = ""
	reply.Problems = append(reply.Problems, api.Problem{Kind: cdp.Conflict, Path: "/spec/journal", Rule: "approval", Text: less + ": " + err.Error(), Hint: cdp.HintOf(err)})
	return nil
}
