package client

import (
	"context"
	"slices"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/contract/subjects"
	"tidemark.dev/pkg/core/failback"
	"tidemark.dev/pkg/core/failoverrun"
)

// InForce is the job in force that a name leads to: the job itself, or the one that
// reverses it, whichever has the higher round, with its last failover. A job that is being
// reversed again, and is gone between two rounds, leads to the one that reverses it. Both sites' jobs are
// looked at, those of linked sites as far as they were copied here. Whether it is
// protected is left open. NotFound.
func (c *Client) InForce(ctx context.Context, name string) (failback.Seen, error) {
	jobs, err := c.jobsHereAndThere(ctx)
	if err != nil {
		return failback.Seen{}, err
	}
	at := slices.IndexFunc(jobs, func(j spec.ReplicationJob) bool { return j.Name == name })
	if at < 0 { // what is left of a round is removed before the next one begins
		at = slices.IndexFunc(jobs, func(j spec.ReplicationJob) bool { return j.Reverses != nil && j.Reverses.Job == name })
	}
	if at < 0 {
		return failback.Seen{}, cdp.Errorf(cdp.NotFound, "find job", name, "there is no such job at site %s or a site linked with it", c.site).
			WithHint("list the jobs: tidemark get job")
	}
	job := jobs[at]
	for by := retiredBy(jobs, job); by != nil; by = retiredBy(jobs, job) { // each has a higher round
		job = *by
	}
	run, err := c.failoverAt(ctx, job.Target.Site, job.Name)
	return failback.Seen{Job: job, Run: run}, err
}

// FailedOver is the job that another one reverses, with its last failover, whatever else
// reverses it. NotFound.
func (c *Client) FailedOver(ctx context.Context, r spec.Reverses) (failback.Seen, error) {
	jobs, err := c.jobsHereAndThere(ctx)
	if err != nil {
		return failback.Seen{}, err
	}
	at := slices.IndexFunc(jobs, func(j spec.ReplicationJob) bool { return j.Name == r.Job && j.Target.Site == r.Site })
	if at < 0 {
		return failback.Seen{}, cdp.Errorf(cdp.NotFound, "find job", r.Job, "the site %s has no such job, as far as it is known at %s", r.Site, c.site)
	}
	run, err := c.failoverAt(ctx, r.Site, r.Job)
	return failback.Seen{Job: jobs[at], Run: run}, err
}

// JobsOf are the names of the jobs of the VMs of a job on VMs, at this site or a linked one;
// none: it is no such job.
func (c *Client) JobsOf(ctx context.Context, name string) (names []string, err error) {
	jobs, err := c.jobsHereAndThere(ctx)
	for _, j := range jobs {
		if j.Of == name {
			names = append(names, j.Name)
		}
	}
	return names, err
}

// jobsHereAndThere are the jobs of this site, and then those of the linked ones.
func (c *Client) jobsHereAndThere(ctx context.Context) ([]spec.ReplicationJob, error) {
	jobs, err := c.Jobs(ctx)
	for _, p := range c.peers {
		if err != nil {
			return nil, err
		}
		var there []spec.ReplicationJob
		there, err = peerSpecs[spec.ReplicationJob](ctx, c, p, subjects.KeyJob)
		jobs = append(jobs, slices.DeleteFunc(there, func(j spec.ReplicationJob) bool { return j.Target.Site != p })...)
	}
	return jobs, err
}

// failoverAt is the last failover of a job whose target is a site; nil if it never had
// one.
func (c *Client) failoverAt(ctx context.Context, site cdp.Site, job string) (*failoverrun.Run, error) {
	if site == c.site {
		return c.Failover(ctx, cdp.GroupID(job))
	}
	b, err := bus.OpenPeerBucket[failoverrun.Run](ctx, c.conn, site, subjects.BucketState, subjects.KeyFailover)
	if cdp.Is(err, cdp.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	x, err := b.Get(ctx, job)
	if cdp.Is(err, cdp.NotFound) {
		return nil, nil
	}
	return &x.Value, err
}

// ofThisRound is a run, or nil if it was about an earlier round of the job.
func ofThisRound(run *failoverrun.Run, j spec.ReplicationJob) *failoverrun.Run {
	if run != nil && run.Over() && !run.Holds(j) {
		return nil
	}
	return run
}

// reversals are the jobs of the linked sites that reverse others.
func (c *Client) reversals(ctx context.Context) (out []spec.ReplicationJob, err error) {
	for _, p := range c.peers {
		there, err := peerSpecs[spec.ReplicationJob](ctx, c, p, subjects.KeyJob)
		if err != nil {
			return nil, err
		}
		for _, j := range there {
			if j.Reverses != nil && j.Target.Site == p {
				out = append(out, j)
			}
		}
	}
	return out, nil
}

// retiredBy is the job of jobs that takes the place of another; nil: none does. Of two, one
// at a site that was lost, the later one counts.
func retiredBy(jobs []spec.ReplicationJob, j spec.ReplicationJob) (by *spec.ReplicationJob) {
	for i, o := range jobs {
		if o.Retires(j.Target.Site, j.Name, j.Round()) && (by == nil || o.Round() > by.Round()) {
			by = &jobs[i]
		}
	}
	return by
}
