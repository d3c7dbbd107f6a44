package client

import (
	"context"
	"slices"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/contract/subjects"
	"tidemark.dev/pkg/core/failoverrun"
	"tidemark.dev/pkg/core/health"
	"tidemark.dev/pkg/core/rpo"
)

// Status judges all jobs: those on VMs with their VMs, each followed by the jobs of
// its VMs. A service that does not answer is a problem of the jobs that need it.
func (c *Client) Status(ctx context.Context) ([]health.Job, error) {
	groups, err := c.groups(ctx, nil)
	if err != nil {
		return nil, err
	}
	for _, lost := range []func() ([]health.Group, error){
		func() ([]health.Group, error) { return unreadable[spec.ReplicationJob](ctx, c, subjects.KeyJob) },
		func() ([]health.Group, error) { return unreadable[spec.VMJob](ctx, c, subjects.KeyVMJob) },
	} {
		more, err := lost()
		if err != nil {
			return nil, err
		}
		groups = append(groups, more...)
	}
	all, err := c.VMJobs(ctx)
	if err != nil || len(all) == 0 {
		return health.Overview(groups, nil), err
	}
	states, serr := c.VMJobStates(ctx, "")
	var jobs []health.VMFacts
	for _, j := range all {
		jobs = append(jobs, health.VMFacts{Job: j, State: states[j.Name], Err: serr})
	}
	return health.Overview(groups, jobs), nil
}

// VMJobStatus judges a job on VMs.
func (c *Client) VMJobStatus(ctx context.Context, j spec.VMJob) (health.Job, error) {
	all, err := c.groups(ctx, nil)
	if err != nil {
		return health.Job{}, err
	}
	own := slices.DeleteFunc(all, func(g health.Group) bool { return g.Of != j.Name })
	states, serr := c.VMJobStates(ctx, j.Name)
	health.MarkGone(own, states[j.Name])
	return health.JudgeVMs(health.VMFacts{Job: j, State: states[j.Name], Err: serr, Groups: own}), nil
}

// GroupStatus judges the job with a group that a name means.
func (c *Client) GroupStatus(ctx context.Context, name string) (health.Group, error) {
	job, err := c.Job(ctx, name)
	if cdp.Is(err, cdp.NotFound) {
		if kept := c.deletedJob(ctx, name); kept != nil {
			job, err = *kept, nil
		}
	}
	if err != nil {
		return health.Group{}, err
	}
	all, err := c.groups(ctx, &job)
	if err != nil {
		return health.Group{}, err
	}
	if job.Of != "" {
		states, _ := c.VMJobStates(ctx, job.Of) // without it the rest is shown
		health.MarkGone(all, states[job.Of])
	}
	return all[0], nil
}

// groups asks everybody about the jobs that have a group: all, or only one.
func (c *Client) groups(ctx context.Context, only *spec.ReplicationJob) ([]health.Group, error) {
	var jobs []spec.ReplicationJob
	var name string
	var err error
	if only != nil {
		jobs, name = []spec.ReplicationJob{*only}, only.Name
	} else if jobs, err = c.Jobs(ctx); err != nil {
		return nil, err
	}
	// A long answer takes time; that nobody is there is known at once.
	jctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	journals, jerr := c.Journal().All(jctx)
	journal := map[cdp.GroupID]*api.GroupStatus{}
	for _, g := range journals.Groups {
		journal[g.Group] = &g
		if only == nil && g.Lock != nil && g.Lock.Deleted != nil && !slices.ContainsFunc(jobs, func(j spec.ReplicationJob) bool { return j.Group() == g.Group }) {
			jobs = append(jobs, *g.Lock.Deleted)
		}
	}
	runs, err := states[api.RunState](ctx, c, subjects.KeyJob, name)
	if err != nil {
		return nil, err
	}
	rpos, err := c.rpos(ctx, name)
	if err != nil {
		return nil, err
	}
	failovers, err := states[failoverrun.Run](ctx, c, subjects.KeyFailover, name)
	if err != nil {
		return nil, err
	}
	back, err := c.reversals(ctx)
	if err != nil {
		return nil, err
	}
	captures := map[cdp.Site]captured{}
	var vms map[cdp.GroupID]*api.VMMember // asked for when one is needed
	var out []health.Group
	for _, job := range jobs {
		g := job.Group()
		f := health.Facts{Job: job, Running: runs[job.Name].Running(), Started: started(runs[job.Name]), RPO: rpos[job.Name], Journal: journal[g], JournalErr: jerr,
			Failover: ofThisRound(failovers[job.Name], job), Back: retiredBy(back, job), Now: c.clock.Now()}
		src := job.Source.Site
		if _, asked := captures[src]; !asked {
			captures[src] = c.captured(ctx, src, cdp.GroupID(name), time.Second+time.Duration(len(jobs))*2*time.Millisecond)
		}
		f.Capture, f.Refused, f.CaptureErr = captures[src].groups[g], captures[src].refused[g], captures[src].err
		if f.NeedsMember() {
			if vms == nil {
				vms = c.vmMembers(ctx)
			}
			f.Member = vms[g]
		}
		out = append(out, health.Judge(f))
	}
	return out, nil
}

// rpos are the RPO records of all jobs, or of one, as the newest round left them. The
// round is read first: it says nothing about records that are newer.
func (c *Client) rpos(ctx context.Context, name string) (map[string]*rpo.Record, error) {
	rounds, err := states[rpo.Round](ctx, c, subjects.KeyRPORound, string(c.site))
	if err != nil {
		return nil, err
	}
	records, err := states[rpo.Record](ctx, c, subjects.KeyRPO, name)
	if round := rounds[string(c.site)]; round != nil {
		for job, r := range records {
			*r = r.In(job, *round)
		}
	}
	return records, err
}

// started is when a job was told to run; zero if it was not.
func started(s *api.RunState) time.Time {
	if !s.Running() {
		return time.Time{}
	}
	return s.Since
}

// captured is what the capture service of a site reports.
type captured struct {
	groups  map[cdp.GroupID]*api.CaptureGroup
	refused map[cdp.GroupID]*api.CaptureRefused
	err     error
}

// captured asks about the groups of this target: one, or all with an empty name,
// and waits for at most limit.
func (c *Client) captured(ctx context.Context, site cdp.Site, only cdp.GroupID, limit time.Duration) captured {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	x := captured{groups: map[cdp.GroupID]*api.CaptureGroup{}, refused: map[cdp.GroupID]*api.CaptureRefused{}}
	var r api.CaptureStatusReply
	x.err = c.conn.Request(ctx, site, subjects.Capture, api.CaptureStatus, api.GroupRequest{Target: c.site, Group: only}, &r)
	x.err = c.silent(ctx, site, x.err)
	for _, g := range r.Groups {
		x.groups[g.Group] = &g
	}
	for _, g := range r.Refused {
		x.refused[g.Group] = &g
	}
	return x
}
