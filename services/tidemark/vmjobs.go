package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"tidemark.dev/pkg/contract/subjects"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/spec"
)

func (c *session) vmJobs(ctx context.Context) (*bus.Bucket[spec.VMJob], error) {
	return bus.OpenBucket[spec.VMJob](ctx, c.conn, c.site, subjects.BucketSpec, subjects.KeyVMJob)
}

// vmJob is a job on VMs; nil if there is none of this name.
func (c *session) vmJob(ctx context.Context, name string) (*spec.VMJob, error) {
	b, err := c.vmJobs(ctx)
	if err != nil {
		return nil, err
	}
	x, err := b.Get(ctx, name)
	if cdp.Is(err, cdp.NotFound) || cdp.Is(err, cdp.Invalid) {
		return nil, nil // Invalid: what was given cannot be a name
	}
	return &x.Value, err
}

// members are the jobs of the VMs of a job on VMs, by name; of all such jobs
// with an empty name. They stand in the bus, so that no vCenter is needed.
func (c *session) members(ctx context.Context, of string) ([]spec.ReplicationJob, error) {
	b, err := c.jobs(ctx)
	if err != nil {
		return nil, err
	}
	var out []spec.ReplicationJob
	err = collect(ctx, b, "", func(j spec.ReplicationJob) {
		if j.Of != "" && (of == "" || j.Of == of) {
			out = append(out, j)
		}
	})
	return out, err
}

// onlyMember is the job of the one VM that a job on VMs has; ok is false if
// there is no such job on VMs. With none, or several, it is an error.
func (c *session) onlyMember(ctx context.Context, name string) (only spec.ReplicationJob, ok bool, err error) {
	const op = "find job"
	j, err := c.vmJob(ctx, name)
	if err != nil || j == nil {
		return only, false, err
	}
	list, err := c.members(ctx, name)
	switch {
	case err != nil:
		return only, false, err
	case len(list) == 0:
		e := cdp.Errorf(cdp.NotFound, op, name, "it is a job on VMs, and has no VM yet")
		return only, false, e.WithHint("see why: tidemark job status " + name)
	case len(list) > 1:
		var names []string
		for _, m := range list {
			names = append(names, m.Name)
		}
		e := cdp.Errorf(cdp.Invalid, op, name, "it is a job on %d VMs: %s", len(list), strings.Join(names, ", "))
		return only, false, e.WithHint("say which VM: give one of these names")
	}
	return list[0], true, nil
}

// group is the group that a name means: that of the one VM of a job on VMs, or
// the one of this name, whose job may be gone.
func (c *session) group(ctx context.Context, name string) (cdp.GroupID, error) {
	j, err := c.job(ctx, name)
	if cdp.Is(err, cdp.NotFound) {
		return cdp.GroupID(name), nil
	}
	return j.Group(), err
}

// vmJobStates are what the vcenter service of the target says of the jobs on
// VMs, by name. An error is why it says nothing.
func (c *session) vmJobStates(ctx context.Context, name string) (map[string]*api.VMJobState, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	r, err := askVCenter[api.VMJobsReply](ctx, c, c.site, api.VMJobStatus, api.VMJobName{Job: name})
	if cdp.Is(err, cdp.NotFound) { // it has not taken it up yet
		err = nil
	}
	out := map[string]*api.VMJobState{}
	for _, s := range r.Jobs {
		out[s.Job] = &s
	}
	return out, err
}

// vmMembers is what the vcenter service of the target says of each VM, by its
// group; of none if it is silent.
func (c *session) vmMembers(ctx context.Context) map[cdp.GroupID]*api.VMMember {
	jobs, _ := c.vmJobStates(ctx, "")
	out := map[cdp.GroupID]*api.VMMember{}
	for _, j := range jobs {
		for i, m := range j.Members {
			out[m.Group] = &j.Members[i]
		}
	}
	return out
}

// count is n of a thing, in words.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
