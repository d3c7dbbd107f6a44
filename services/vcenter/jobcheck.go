package vcenter

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/core/vmpolicy"
)

// jobCheck handles api.VMJobCheck: everything that stands in the way of a job,
// before anything is made. What stands in the way of the job as it is does not
// keep it from being changed: it is a warning.
func (s *Service) jobCheck(ctx context.Context, r api.VMJobCheckRequest) (any, error) {
	x, err := s.newRound(ctx, r.Job, nil)
	if err != nil {
		return nil, err
	}
	problems, err := x.problems(ctx)
	if err != nil {
		return nil, err
	}
	was, err := x.kept(ctx)
	if err != nil {
		return nil, err
	}
	var stood []inventory.Problem
	if was != nil {
		if stood, err = was.problems(ctx); err != nil {
			return nil, err
		}
	}
	reply := api.JobCheckReply{Problems: []inventory.Problem{}, VMs: []string{}}
	refused := map[string]bool{}
	for _, p := range problems {
		refused[p.VM] = true
		if p.Warning || slices.ContainsFunc(stood, func(old inventory.Problem) bool { return old.VM == p.VM && old.Rule == p.Rule && old.Text == p.Text }) {
			p.Warning = true
			reply.Warnings = append(reply.Warnings, p)
		} else {
			reply.Problems = append(reply.Problems, p)
		}
	}
	if !x.answers {
		rule := "source"
		if x.silent {
			rule = inventory.RuleUnreachable
		}
		reply.Problems = append(reply.Problems, inventory.Problem{Path: "/spec/source/site", Rule: rule,
			Text: "the source site " + string(r.Job.SourceSite) + " does not tell its VMs: " + x.why})
	}
	if was != nil {
		reply.Warnings = append(reply.Warnings, x.stays(was.job.Job)...)
	}
	x.comeAndGo(&reply, refused)
	return reply, nil
}

// kept is a look at the job as it is kept now, whose change is looked at; nil
// for a new one.
func (r *round) kept(ctx context.Context) (*round, error) {
	job, err := r.s.deps.Jobs.Get(ctx, r.job.Name)
	if cdp.Is(err, cdp.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	was := *r
	was.job = job
	was.place, _ = vmpolicy.Place(was.target, job.Job.Target)
	if job.SourceSite != r.job.SourceSite || !reflect.DeepEqual(job.Source, r.job.Source) {
		was.source = was.askSource(ctx, nil)
	}
	return &was, nil
}

// comeAndGo tells which VMs the job would protect, and which of them are new or
// would be left. While the source does not tell all, nobody leaves.
func (r *round) comeAndGo(reply *api.JobCheckReply, refused map[string]bool) {
	meant := map[string]bool{}
	for _, v := range r.reply.VMs {
		meant[v.UUID] = true
		i := slices.IndexFunc(r.members, func(m *member) bool { return m.Value.VM.UUID == v.UUID })
		if refused[v.Name] && (i < 0 || r.members[i].Value.Replica == "") {
			continue
		}
		reply.VMs = append(reply.VMs, v.Name)
		if i < 0 || r.members[i].Value.State == inventory.Gone {
			reply.Joins = append(reply.Joins, v.Name)
		}
	}
	if !r.answers || slices.ContainsFunc(r.reply.Problems, func(p inventory.Problem) bool { return p.Rule != "reference" }) {
		return
	}
	for _, m := range r.members {
		if !meant[m.Value.VM.UUID] && m.Value.State != inventory.Gone && m.Value.State != inventory.FailedOver {
			reply.Leaves = append(reply.Leaves, m.Value.VM.Name)
		}
	}
	slices.Sort(reply.Leaves)
}

// stays says what of a change the replicas that stand do not follow.
func (r *round) stays(was inventory.Job) []inventory.Problem {
	stand := 0
	for _, m := range r.members {
		if m.Value.Replica != "" {
			stand++
		}
	}
	if stand == 0 {
		return nil
	}
	they := "the replica that stands stays as it is"
	if stand > 1 {
		they = fmt.Sprintf("the %d replicas that stand stay as they are", stand)
	}
	var out []inventory.Problem
	for _, path := range vmpolicy.NewOnly(r.job.Job, was) {
		whom := "new VMs only"
		if slices.Contains([]string{"host", "cluster", "datastore", "folder", "pool"}, strings.TrimPrefix(path, "/spec/target/")) {
			whom = "new VMs and the VMs of test failovers only"
		}
		out = append(out, inventory.Problem{Path: path, Rule: "new-only", Warning: true, Text: "the change applies to " + whom + ": " + they})
	}
	return out
}
