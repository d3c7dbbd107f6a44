package vcenter

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/core/vmpolicy"
)

// jobCheck handles api.VMJobCheck: all problems of a job, before anything is made.
// Problems that the applied version of the job already has do not prevent a change:
// they are warnings.
func (s *jobControl) jobCheck(ctx context.Context, r api.VMJobCheckRequest) (any, error) {
	x, err := s.newRound(ctx, r.Job, nil)
	if err != nil {
		return nil, err
	}
	problems, err := x.problems(ctx)
	if err != nil {
		return nil, err
	}
	was, err := x.applied(ctx)
	if err != nil {
		return nil, err
	}
	var known []inventory.Problem
	if was != nil {
		if known, err = was.problems(ctx); err != nil {
			return nil, err
		}
	}
	reply := api.JobCheckReply{Problems: []inventory.Problem{}, VMs: []string{}}
	refused := map[string]bool{}
	for _, p := range problems {
		refused[p.UUID] = refused[p.UUID] || !p.Warning
		if p.Warning || slices.ContainsFunc(known, func(old inventory.Problem) bool {
			return old.VM == p.VM && old.UUID == p.UUID && old.Rule == p.Rule && old.Text == p.Text
		}) {
			p.Warning = true
			reply.Warnings = append(reply.Warnings, p)
		} else {
			reply.Problems = append(reply.Problems, p)
		}
	}
	x.unanswered(&reply, was)
	if was != nil {
		reply.Warnings = append(reply.Warnings, x.unaffected(was.job.Job)...)
	}
	if path := r.Job.Checks.Script; path != "" {
		if _, err := s.local.Script(path); cdp.Is(err, cdp.Invalid) { // a missing one may be put there yet
			reply.Problems = append(reply.Problems, inventory.Problem{Path: "/spec/checks/script", Rule: "allowed", Text: err.Error()})
		}
	}
	logins := r.Job.Target.Logins()
	for _, field := range slices.Sorted(maps.Keys(logins)) {
		if _, _, err := s.guests.Login(logins[field]); err != nil {
			reply.Problems = append(reply.Problems, inventory.Problem{Path: "/spec/target/" + field, Rule: "login", Text: strings.TrimSuffix(err.Error()+": "+cdp.HintOf(err), ": ")})
		}
	}
	if p, ok := vmpolicy.NotCopied(x.newcomers(refused)); ok {
		reply.Warnings = append(reply.Warnings, p)
	}
	x.joinsAndLeaves(&reply, refused)
	return reply, nil
}

// unanswered adds that the source does not answer. It refuses a new job, and a change
// of what is protected there; any other change must be possible in a disaster, and is
// checked with what is known of the VMs.
func (r *round) unanswered(reply *api.JobCheckReply, was *round) {
	if r.answers {
		return
	}
	p := inventory.Problem{Path: "/spec/source/site", Rule: "source",
		Text: "the source site " + string(r.job.SourceSite) + " does not report its VMs: " + r.why}
	if r.silent {
		p.Rule = inventory.RuleUnreachable
	}
	if was == nil || was.job.SourceSite != r.job.SourceSite || !reflect.DeepEqual(was.job.Job.Source, r.job.Job.Source) {
		reply.Problems = append(reply.Problems, p)
		return
	}
	p.Warning = true
	p.Text += "; the change is checked with what is known of them"
	reply.Warnings = append(reply.Warnings, p)
}

// applied is a round of the applied version of the job that is checked; nil for a new
// job.
func (r *round) applied(ctx context.Context) (*round, error) {
	job, err := r.s.jobs.Get(ctx, r.job.Name)
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

// joinsAndLeaves fills in which VMs the job would protect, which of them would join,
// and which would leave. No VM leaves while the source's answer is incomplete.
func (r *round) joinsAndLeaves(reply *api.JobCheckReply, refused map[string]bool) {
	selected := map[string]bool{}
	for _, v := range r.vms() {
		selected[v.UUID] = true
		i := slices.IndexFunc(r.members, func(m *member) bool { return m.Value.VM.UUID == v.UUID })
		if refused[v.UUID] && (i < 0 || r.members[i].Value.Replica == "") {
			continue
		}
		reply.VMs = append(reply.VMs, v.Name)
		if i < 0 || r.members[i].Value.State == inventory.Gone {
			reply.Joins = append(reply.Joins, v.Name)
		}
	}
	if !r.answers || r.selectorsFail() {
		return
	}
	for _, m := range r.members {
		if !selected[m.Value.VM.UUID] && m.Value.State != inventory.Gone && m.Value.State != inventory.FailedOver {
			reply.Leaves = append(reply.Leaves, m.Value.VM.Name)
		}
	}
	slices.Sort(reply.Leaves)
}

// newcomers are the VMs of which replicas will be made.
func (r *round) newcomers(refused map[string]bool) []inventory.VM {
	if r.job.Reverses != nil { // its replica is the VM that it came from
		return nil
	}
	return slices.DeleteFunc(slices.Clone(r.vms()), func(v inventory.VM) bool {
		return refused[v.UUID] || slices.ContainsFunc(r.members, func(m *member) bool { return m.Value.VM.UUID == v.UUID && m.Value.Replica != "" })
	})
}

// unaffected are warnings about the changes that existing replicas do not follow.
func (r *round) unaffected(was inventory.Job) []inventory.Problem {
	replicas := 0
	for _, m := range r.members {
		if m.Value.Replica != "" {
			replicas++
		}
	}
	if replicas == 0 {
		return nil
	}
	stay := "the existing replica stays as it is"
	if replicas > 1 {
		stay = fmt.Sprintf("the %d existing replicas stay as they are", replicas)
	}
	var out []inventory.Problem
	for _, path := range vmpolicy.NewOnly(r.job.Job, was) {
		whom := "new VMs only"
		if slices.Contains([]string{"host", "cluster", "datastore", "folder", "pool"}, strings.TrimPrefix(path, "/spec/target/")) {
			whom = "new VMs and the VMs of test failovers only"
		}
		out = append(out, inventory.Problem{Path: path, Rule: "new-only", Warning: true, Text: "the change applies to " + whom + ": " + stay})
	}
	return out
}
