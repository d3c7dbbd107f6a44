package client

import (
	"context"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/subjects"
	"tidemark.dev/pkg/core/health"
)

// SetRunning has a job run or stop. Of a job on VMs this concerns every VM, now and
// later, and the vcenter service does it for each as soon as it can. Of any other
// job it waits until the scheduler has recorded it, unless wait is false. It is no
// error if the job runs, or is stopped, already.
func (c *Client) SetRunning(ctx context.Context, name string, running, wait bool) error {
	op, endpoint, want := "run job", api.VMJobRun, api.DesiredRunning
	if !running {
		op, endpoint, want = "stop job", api.VMJobStop, api.DesiredStopped
	}
	vmJob, err := c.VMJob(ctx, name)
	if err != nil {
		return err
	}
	if vmJob != nil {
		return cdp.Wrap(c.askVCenter(ctx, c.site, endpoint, api.VMJobName{Job: name}, nil), op, name)
	}
	job, err := c.Job(ctx, name)
	if err != nil {
		return err
	}
	var cmd event.Payload = event.JobRun{Job: job.Name}
	if !running {
		cmd = event.JobStop{Job: job.Name}
	}
	var done func(context.Context) (bool, error)
	if wait {
		done = func(ctx context.Context) (bool, error) {
			st, err := c.runState(ctx, job.Name)
			return st != nil && st.Desired == want || st == nil && !running, err
		}
	}
	return cdp.Wrap(c.do(ctx, c.site, cmd, done), op, name)
}

// AwaitProtected waits until a job that was told to run is protected, and shows how
// far it is. Conflict once it has failed to start: it goes on by itself when the
// reason is gone.
func (c *Client) AwaitProtected(ctx context.Context, name string, shown func(health.Group)) error {
	var start health.Start
	return c.await(ctx, c.site, "", name, func(ctx context.Context) (bool, error) {
		g, err := c.GroupStatus(ctx, name)
		if err != nil {
			return false, err
		}
		done, err := start.Next(g, c.clock.Now())
		if !done {
			shown(g)
		}
		return done, err
	})
}

// Running reports whether a job was told to run. NotFound if there is no such job.
func (c *Client) Running(ctx context.Context, name string) (bool, error) {
	job, err := c.Job(ctx, name)
	if err != nil {
		return false, err
	}
	st, err := c.runState(ctx, job.Name)
	return st.Running(), err
}

// runState is whether a job should run; nil if it never did.
func (c *Client) runState(ctx context.Context, job string) (*api.RunState, error) {
	all, err := states[api.RunState](ctx, c, subjects.KeyJob, job)
	return all[job], err
}

// VMJobStates are the states of the jobs on VMs, by name, as the vcenter service
// reports them: of all of them with an empty name. An error says why it reports
// nothing.
func (c *Client) VMJobStates(ctx context.Context, name string) (map[string]*api.VMJobState, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var r api.VMJobsReply
	err := c.askVCenter(ctx, c.site, api.VMJobStatus, api.VMJobName{Job: name}, &r)
	if cdp.Is(err, cdp.NotFound) { // not taken up yet
		err = nil
	}
	out := map[string]*api.VMJobState{}
	for _, s := range r.Jobs {
		out[s.Job] = &s
	}
	return out, err
}

// vmMembers is what the vcenter service reports of each VM, by its group; nothing
// if it is silent.
func (c *Client) vmMembers(ctx context.Context) map[cdp.GroupID]*api.VMMember {
	jobs, _ := c.VMJobStates(ctx, "")
	out := map[cdp.GroupID]*api.VMMember{}
	for _, j := range jobs {
		for i, m := range j.Members {
			out[m.Group] = &j.Members[i]
		}
	}
	return out
}
