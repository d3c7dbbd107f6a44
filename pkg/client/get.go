package client

import (
	"context"
	"strings"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/contract/subjects"
	"tidemark.dev/pkg/core/health"
)

// Objects gives what was described: sites first, then jobs, then jobs on VMs, then site
// recovery jobs, each by name. The jobs of single VMs are among the jobs. An empty kind or name means
// any; NotFound if a name means nothing. A name also finds a deleted job whose journal a
// retention lock keeps, so that it can be applied again.
func (c *Client) Objects(ctx context.Context, kind, name string) ([]spec.Object, error) {
	var out []spec.Object
	var err error
	wanted := func(k string) bool { return kind == "" || kind == k }
	if wanted(spec.KindSite) {
		err = specs(ctx, c, subjects.KeySite, name, func(s spec.Site) { out = append(out, spec.Object{Site: &s}) })
	}
	if err == nil && wanted(spec.KindJob) {
		err = specs(ctx, c, subjects.KeyJob, name, func(j spec.ReplicationJob) { out = append(out, spec.Object{Job: &j}) })
	}
	if err == nil && wanted(spec.KindJob) {
		err = specs(ctx, c, subjects.KeyVMJob, name, func(j spec.VMJob) { out = append(out, spec.Object{VMJob: &j}) })
	}
	if err == nil && name != "" && wanted(spec.KindJob) && len(out) == 0 {
		if j := c.deletedJob(ctx, name); j != nil {
			out = append(out, spec.Object{Job: j})
		}
	}
	if err == nil && wanted(spec.KindPlan) {
		err = specs(ctx, c, subjects.KeyPlan, name, func(p spec.Plan) { out = append(out, spec.Object{Plan: &p}) })
	}
	if err == nil && name != "" && len(out) == 0 {
		what := name
		if kind != "" {
			what = kind + " " + name
		}
		err = cdp.Errorf(cdp.NotFound, "get", what, "there is none of this name at site %s", c.site)
	}
	return out, err
}

// deletedJob is a job that was deleted, and whose journal a retention lock keeps; nil:
// there is none, as far as the journal says.
func (c *Client) deletedJob(ctx context.Context, name string) *spec.ReplicationJob {
	st, err := c.Journal().Status(ctx, cdp.GroupID(name))
	if err != nil || st.Lock == nil {
		return nil
	}
	return st.Lock.Deleted
}

// Sites are the sites that were described, by name.
func (c *Client) Sites(ctx context.Context) (out []spec.Site, err error) {
	return out, specs(ctx, c, subjects.KeySite, "", func(s spec.Site) { out = append(out, s) })
}

// Jobs are the jobs that have a group of their own, by name: those of disks, and
// those of single VMs.
func (c *Client) Jobs(ctx context.Context) (out []spec.ReplicationJob, err error) {
	return out, specs(ctx, c, subjects.KeyJob, "", func(j spec.ReplicationJob) { out = append(out, j) })
}

// VMJobs are the jobs on VMs, by name.
func (c *Client) VMJobs(ctx context.Context) (out []spec.VMJob, err error) {
	return out, specs(ctx, c, subjects.KeyVMJob, "", func(j spec.VMJob) { out = append(out, j) })
}

// VMJob is a job on VMs; nil if there is none of this name.
func (c *Client) VMJob(ctx context.Context, name string) (out *spec.VMJob, err error) {
	if name == "" {
		return nil, nil
	}
	return out, specs(ctx, c, subjects.KeyVMJob, name, func(j spec.VMJob) { out = &j })
}

// ProtectedVMs are the jobs of the VMs of a job on VMs, by name; of all such jobs
// with an empty name. No vCenter is needed.
func (c *Client) ProtectedVMs(ctx context.Context, of string) ([]spec.ReplicationJob, error) {
	all, err := c.Jobs(ctx)
	var out []spec.ReplicationJob
	for _, j := range all {
		if j.Of != "" && (of == "" || j.Of == of) {
			out = append(out, j)
		}
	}
	return out, err
}

// Job is the job with a group that a name means. The name of a job on VMs means
// the job of its only VM, so use the name that comes back. NotFound.
func (c *Client) Job(ctx context.Context, name string) (spec.ReplicationJob, error) {
	var job *spec.ReplicationJob
	err := specs(ctx, c, subjects.KeyJob, name, func(j spec.ReplicationJob) { job = &j })
	if job == nil && err == nil {
		job, err = c.onlyVM(ctx, name)
	}
	switch {
	case err != nil:
		return spec.ReplicationJob{}, err
	case job == nil:
		return spec.ReplicationJob{}, cdp.Errorf(cdp.NotFound, "find job", name, "there is no such job at site %s", c.site).
			WithHint("list the jobs: tidemark get job")
	}
	return *job, nil
}

// onlyVM is the job of the only VM of a job on VMs; nil if there is no such job on
// VMs. With no VM, or several, it is an error.
func (c *Client) onlyVM(ctx context.Context, name string) (*spec.ReplicationJob, error) {
	const op = "find job"
	j, err := c.VMJob(ctx, name)
	if err != nil || j == nil {
		return nil, err
	}
	list, err := c.ProtectedVMs(ctx, name)
	switch {
	case err != nil:
		return nil, err
	case len(list) == 0:
		return nil, cdp.Errorf(cdp.NotFound, op, name, "it is a job on VMs, and has no VM yet").
			WithHint("see why: tidemark job status " + name)
	case len(list) > 1:
		var names []string
		for _, m := range list {
			names = append(names, m.Name)
		}
		return nil, cdp.Errorf(cdp.Invalid, op, name, "it is a job on %d VMs: %s", len(list), strings.Join(names, ", ")).
			WithHint("say which VM: give one of these names; tidemark failover also takes --vm and --all")
	}
	return &list[0], nil
}

// Group is the group that a name means: that of the only VM of a job on VMs, or
// the one of this name, whose job may have been deleted.
func (c *Client) Group(ctx context.Context, name string) (cdp.GroupID, error) {
	j, err := c.Job(ctx, name)
	if cdp.Is(err, cdp.NotFound) {
		return cdp.GroupID(name), nil
	}
	return j.Group(), err
}

// specs calls add with the specs of a kind: all, by name, or the one of a name.
func specs[T any](ctx context.Context, c *Client, prefix, name string, add func(T)) error {
	all, err := entries[T](ctx, c, subjects.BucketSpec, prefix, name)
	for _, x := range all {
		if !x.Lost {
			add(x.Value)
		}
	}
	return err
}

// described are the specs of a kind, by name, and verdicts on those that cannot be read.
func described[T any](ctx context.Context, c *Client, prefix string) (out []T, lost []health.Group, err error) {
	all, err := entries[T](ctx, c, subjects.BucketSpec, prefix, "")
	for _, x := range all {
		if x.Lost {
			lost = append(lost, health.Unreadable(x.Key, x.Bad))
		} else {
			out = append(out, x.Value)
		}
	}
	return out, lost, err
}

// states are the values of the state bucket under a prefix: all, or that of one
// key. Those that cannot be read are left out.
func states[T any](ctx context.Context, c *Client, prefix, key string) (map[string]*T, error) {
	all, err := entries[T](ctx, c, subjects.BucketState, prefix, key)
	out := map[string]*T{}
	for _, x := range all {
		if !x.Lost {
			out[x.Key] = &x.Value
		}
	}
	return out, err
}

// entries are the values of a bucket under a prefix, by key, or that of one key, if
// there is one.
func entries[T any](ctx context.Context, c *Client, bucket, prefix, key string) ([]bus.Entry[T], error) {
	b, err := bus.OpenBucket[T](ctx, c.conn, c.site, bucket, prefix)
	if err != nil {
		return nil, err
	}
	if key == "" {
		return b.All(ctx)
	}
	x, err := b.Get(ctx, key)
	if cdp.Is(err, cdp.NotFound) || cdp.Is(err, cdp.Invalid) { // Invalid: it cannot be a name
		return nil, nil
	}
	if x.Lost && bucket == subjects.BucketState {
		err = nil
	}
	return []bus.Entry[T]{x}, err
}
