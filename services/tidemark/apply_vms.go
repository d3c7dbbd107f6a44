package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/services/vcenter"
)

// fitVMJob checks a job on VMs against the sites, against what stands, and, if
// that is well, against both vCenters.
func (c *session) fitVMJob(ctx context.Context, k kept, o spec.Object) (x change, bad []error, err error) {
	const op = "apply job"
	j := *o.VMJob
	x.object = o
	var old spec.VMJob
	if x.what, old, err = differs(ctx, k.vmJobs, j.Name, j); err != nil {
		return x, nil, err
	}
	refuse := func(kind cdp.Kind, field, hint, format string, args ...any) {
		bad = append(bad, cdp.Errorf(kind, op, j.Name+" "+field, format, args...).WithHint(hint))
	}
	other, err := k.jobs.Get(ctx, j.Name)
	switch {
	case err == nil && other.Value.Of != "":
		return x, []error{notByHand(op, other.Value)}, nil
	case err == nil:
		refuse(cdp.Conflict, "/metadata/name", "give it another name", "it is the name of a job of disks")
	case !cdp.Is(err, cdp.NotFound):
		return x, nil, err
	}
	c.fitSites(j.SourceSite, j.TargetSite, refuse)
	if x.what == "changed" && (old.SourceSite != j.SourceSite || old.TargetSite != j.TargetSite) {
		refuse(cdp.Conflict, "/spec", "describe another job", "the sites of a job on VMs cannot be changed: its replicas stand where they are")
	}
	if x.what == "changed" && old.Source.Capture != j.Source.Capture {
		if states, err := c.vmJobStates(ctx, j.Name); err == nil && states[j.Name] != nil && states[j.Name].Running {
			refuse(cdp.Conflict, "/spec/source/capture", "stop it first: tidemark job stop "+j.Name, "capture cannot be changed while the job runs")
		}
	}
	if len(bad) > 0 {
		return x, bad, nil
	}
	r, err := askVCenter[api.JobCheckReply](ctx, c, j.TargetSite, api.VMJobCheck, vcenter.JobRequest{Job: j})
	if err != nil {
		return x, []error{cdp.Wrap(err, "check job", j.Name)}, nil
	}
	if len(r.Problems) > 0 {
		bad = append(bad, unfit(j.Name, r.Problems))
	}
	for _, p := range r.Warnings {
		x.warnings = append(x.warnings, p.String())
	}
	x.note = fmt.Sprintf(" (%s)", count(len(r.VMs), "VM"))
	if x.what == "changed" {
		x.joins, x.leaves = r.Joins, r.Leaves
	}
	return x, bad, nil
}

// unfit writes what stands in the way of a job on VMs, one below the other. While a
// site is silent not all is known of the job.
func unfit(job string, ps []inventory.Problem) error {
	lines := []string{count(len(ps), "problem") + ", nothing was changed"}
	for _, p := range ps {
		lines = append(lines, p.String())
	}
	kind := cdp.Invalid
	if slices.ContainsFunc(ps, func(p inventory.Problem) bool { return p.Rule == inventory.RuleUnreachable }) {
		kind = cdp.Transient
	}
	return &cdp.Error{Op: "apply job", Kind: kind, Subject: job, Cause: errors.New(strings.Join(lines, "\n"))}
}
