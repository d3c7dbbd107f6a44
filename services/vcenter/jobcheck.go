package vcenter

import (
	"context"
	"reflect"
	"slices"

	"tidemark.dev/pkg/api"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/spec"
	"tidemark.dev/pkg/vms"
)

// JobRequest is what api.VMJobCheck takes: a job on VMs that may not have been
// applied.
type JobRequest struct {
	Job spec.VMJob `json:"job"`
}

// jobCheck handles api.VMJobCheck: everything that stands in the way of a job,
// before anything is made. What stands in the way of the job as it is does not
// keep it from being changed: it is a warning.
func (s *Service) jobCheck(ctx context.Context, r JobRequest) (any, error) {
	x, err := s.newRound(ctx, r.Job, nil)
	if err != nil {
		return nil, err
	}
	problems, err := x.problems(ctx)
	if err != nil {
		return nil, err
	}
	stood, err := x.stood(ctx)
	if err != nil {
		return nil, err
	}
	reply := api.JobCheckReply{Problems: []vms.Problem{}, VMs: []string{}}
	refused := map[string]bool{}
	for _, p := range problems {
		refused[p.VM] = true
		if p.Warning || slices.ContainsFunc(stood, func(old vms.Problem) bool { return old.VM == p.VM && old.Rule == p.Rule && old.Text == p.Text }) {
			p.Warning = true
			reply.Warnings = append(reply.Warnings, p)
		} else {
			reply.Problems = append(reply.Problems, p)
		}
	}
	if !x.answers {
		rule := "source"
		if x.silent {
			rule = vms.RuleUnreachable
		}
		reply.Problems = append(reply.Problems, vms.Problem{Path: "/spec/source/site", Rule: rule,
			Text: "the source site " + string(r.Job.SourceSite) + " does not tell its VMs: " + x.why})
	}
	for _, v := range x.reply.VMs {
		if !refused[v.Name] || x.stands(v) {
			reply.VMs = append(reply.VMs, v.Name)
		}
	}
	return reply, nil
}

// stood is what is said of the job as it is kept now, whose change is looked at;
// nothing of a new one.
func (r *round) stood(ctx context.Context) ([]vms.Problem, error) {
	job, err := r.s.deps.Jobs.Get(ctx, r.job.Name)
	if cdp.Is(err, cdp.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	was := *r
	was.job = job
	was.place, _ = was.target.Resolve(job.Job.Target)
	if job.SourceSite != r.job.SourceSite || !reflect.DeepEqual(job.Source, r.job.Source) {
		was.source = was.askSource(ctx, nil)
	}
	return was.problems(ctx)
}

// stands says whether a VM has a replica by this job: it keeps it, whatever is
// found since.
func (r *round) stands(v vms.VM) bool {
	return slices.ContainsFunc(r.members, func(m *member) bool { return m.Value.VM.UUID == v.UUID && m.Value.Replica != "" })
}
