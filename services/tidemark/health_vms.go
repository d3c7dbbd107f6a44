package main

import (
	"context"
	"fmt"
	"slices"

	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/health"
)

// healthOfAll asks about all jobs.
func (c *session) healthOfAll(ctx context.Context) ([]health.Job, error) {
	groups, err := c.health(ctx, "")
	if err != nil {
		return nil, err
	}
	b, err := c.vmJobs(ctx)
	if err != nil {
		return nil, err
	}
	var jobs []health.VMFacts
	if err := collect(ctx, b, "", func(j spec.VMJob) { jobs = append(jobs, health.VMFacts{Job: j}) }); err != nil {
		return nil, err
	}
	if len(jobs) > 0 {
		states, err := c.vmJobStates(ctx, "")
		for i, f := range jobs {
			jobs[i].State, jobs[i].Err = states[f.Job.Name], err
		}
	}
	return health.Overview(groups, jobs), nil
}

// vmJobStatus shows one job on VMs.
func (a *app) vmJobStatus(ctx context.Context, c *session, out format, j spec.VMJob) error {
	all, err := c.health(ctx, "")
	if err != nil {
		return err
	}
	own := slices.DeleteFunc(all, func(g health.Group) bool { return g.Of != j.Name })
	states, serr := c.vmJobStates(ctx, j.Name)
	health.MarkGone(own, states[j.Name])
	h := health.JudgeVMs(health.VMFacts{Job: j, State: states[j.Name], Err: serr, Groups: own})
	if out != "table" {
		return out.print(a.out, h, nil, nil)
	}
	say := func(what, format string, args ...any) {
		fmt.Fprintf(a.out, "%-12s %s\n", what, fmt.Sprintf(format, args...))
	}
	say("job", "%s", j.Name)
	say("state", "%s", h.State)
	say("objective", "%s", h.Objective)
	say("capture", "%s, from %s to %s", j.Source.Capture, j.SourceSite, j.TargetSite)
	say("history", "%s", h.History)
	for _, p := range h.Problems {
		say("problem", "%s", p.Text)
		if p.Do != "" {
			say("  do", "%s", p.Do)
		}
	}
	fmt.Fprintln(a.out)
	err = format("table").print(a.out, nil, []string{"vm", "job", "vm state", "state", "rpo now", "replica"}, func(add func(...any)) {
		for _, v := range h.VMs {
			add(v.VM, v.Group, v.Member, v.State, v.RPO, v.Replica)
		}
	})
	for _, v := range h.VMs {
		for _, p := range v.Problems {
			fmt.Fprintf(a.out, "\n%s\n", v.Named(p.Text))
			if p.Do != "" {
				fmt.Fprintf(a.out, "  do: %s\n", p.Do)
			}
		}
	}
	return err
}

// problemText is a problem of a job on VMs in one line.
func problemText(p inventory.Problem) string {
	return api.Problem{VM: p.VM, Path: p.Path, Text: p.Text}.String()
}
