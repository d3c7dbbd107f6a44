package client

import (
	"context"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

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
	var groups, lost, lostVMs []health.Group
	var vmJobs []spec.VMJob
	eg, ectx := errgroup.WithContext(ctx)
	eg.Go(func() (err error) { groups, lost, err = c.groups(ectx, nil); return err })
	eg.Go(func() (err error) {
		vmJobs, lostVMs, err = described[spec.VMJob](ectx, c, subjects.KeyVMJob)
		return err
	})
	if err := eg.Wait(); err != nil {
		return nil, err
	}
	groups = slices.Concat(groups, lost, lostVMs)
	if len(vmJobs) == 0 {
		return health.Overview(groups, nil), nil
	}
	states, serr := c.VMJobStates(ctx, "")
	var jobs []health.VMFacts
	for _, j := range vmJobs {
		jobs = append(jobs, health.VMFacts{Job: j, State: states[j.Name], Err: serr})
	}
	return health.Overview(groups, jobs), nil
}

// VMJobStatus judges a job on VMs.
func (c *Client) VMJobStatus(ctx context.Context, j spec.VMJob) (health.Job, error) {
	all, _, err := c.groups(ctx, nil)
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
	all, _, err := c.groups(ctx, &job)
	if err != nil {
		return health.Group{}, err
	}
	if job.Of != "" {
		states, _ := c.VMJobStates(ctx, job.Of) // without it the rest is shown
		health.MarkGone(all, states[job.Of])
	}
	return all[0], nil
}

// groups asks everybody about the jobs that have a group: all, or only one. Whatever does
// not need another answer is asked for at once: a busy site takes its time for each. lost
// are verdicts on the jobs whose description cannot be read.
func (c *Client) groups(ctx context.Context, only *spec.ReplicationJob) (out, lost []health.Group, err error) {
	var (
		jobs      []spec.ReplicationJob
		name      string
		journals  api.StatusReply
		jerr      error
		runs      map[string]*api.RunState
		rpos      map[string]*rpo.Record
		failovers map[string]*failoverrun.Run
		back      []spec.ReplicationJob
	)
	if only != nil {
		jobs, name = []spec.ReplicationJob{*only}, only.Name
	}
	eg, ectx := errgroup.WithContext(ctx)
	if only == nil {
		eg.Go(func() (err error) {
			jobs, lost, err = described[spec.ReplicationJob](ectx, c, subjects.KeyJob)
			return err
		})
	}
	eg.Go(func() error {
		// A long answer takes time; that nobody is there is known at once.
		jctx, cancel := context.WithTimeout(ectx, 5*time.Second)
		defer cancel()
		journals, jerr = c.Journal().All(jctx)
		return nil // it is a problem of the jobs
	})
	eg.Go(func() (err error) { runs, err = states[api.RunState](ectx, c, subjects.KeyJob, name); return err })
	eg.Go(func() (err error) { rpos, err = c.rpos(ectx, name); return err })
	eg.Go(func() (err error) {
		failovers, err = states[failoverrun.Run](ectx, c, subjects.KeyFailover, name)
		return err
	})
	eg.Go(func() (err error) { back, err = c.reversals(ectx); return err })
	if err := eg.Wait(); err != nil {
		return nil, nil, err
	}
	journal := map[cdp.GroupID]*api.GroupStatus{}
	for _, g := range journals.Groups {
		journal[g.Group] = &g
		if only == nil && g.Lock != nil && g.Lock.Deleted != nil && !slices.ContainsFunc(jobs, func(j spec.ReplicationJob) bool { return j.Group() == g.Group }) {
			jobs = append(jobs, *g.Lock.Deleted)
		}
	}
	captures := map[cdp.Site]captured{}
	var vms map[cdp.GroupID]*api.VMMember // asked for when one is needed
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
	return out, lost, nil
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
