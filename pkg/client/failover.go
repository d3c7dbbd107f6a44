package client

import (
	"cmp"
	"context"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/contract/subjects"
	"tidemark.dev/pkg/core/failoverrun"
)

// Asked is a failover run that was asked for something, to be followed.
type Asked struct {
	// Job is the run's group, and Run its name.
	Job, Run string
	// Before is the group's run at the time, which may be an earlier one; nil: none.
	Before *failoverrun.Run
	goal   recovery.Goal // empty: to recover
	id     string        // of the command; empty: it was a request, and is accepted
}

// Failover is the last failover run of a group; nil if it never had one. Those of earlier
// rounds of a job that was reversed twice do not count.
func (c *Client) Failover(ctx context.Context, group cdp.GroupID) (*failoverrun.Run, error) {
	all, err := states[failoverrun.Run](ctx, c, subjects.KeyFailover, string(group))
	run := all[string(group)]
	if err != nil || run == nil || !run.Over() {
		return run, err
	}
	err = specs(ctx, c, subjects.KeyJob, string(group), func(j spec.ReplicationJob) { run = ofThisRound(run, j) })
	return run, err
}

// StartFailover asks for a run. Its job may be named as in Job; where the disks are
// handed out to is chosen if it is not said.
func (c *Client) StartFailover(ctx context.Context, r failoverrun.Request) (Asked, error) {
	job, err := c.Job(ctx, r.Job)
	if err != nil {
		return Asked{}, err
	}
	r.Job = job.Name // of the only VM of a job on VMs
	r.To = cmp.Or(r.To, defaultTo(job, r))
	old, err := c.Failover(ctx, job.Group())
	if err != nil {
		return Asked{}, err
	}
	if err := failoverrun.Admit(old, r); err != nil && !cdp.Is(err, cdp.Duplicate) && !failoverrun.Displaces(old, r) {
		return Asked{}, err
	}
	if r.At != nil { // before anything is halted for a time that cannot be
		if _, err := c.Journal().Resolve(ctx, api.ResolveRequest{Group: job.Group(), At: r.At}); err != nil {
			return Asked{}, cdp.Wrap(err, "failover", r.Job)
		}
	}
	id, err := c.start(ctx, r)
	return Asked{Job: r.Job, Run: r.ID, id: id}, cdp.Wrap(err, "failover", r.Job)
}

// defaultTo is where a job's disks are handed out to if nobody says.
func defaultTo(j spec.ReplicationJob, r failoverrun.Request) recovery.Destination {
	if j.Target.VM != "" && r.Listen == "" {
		return recovery.ToVM
	}
	return recovery.ToNBD
}

// start asks for a run, and gives the id of the command. What the command cannot
// say (a planned run, a point that is no recovery point) is a request.
func (c *Client) start(ctx context.Context, r failoverrun.Request) (id string, err error) {
	request := r.Planned
	if !request && r.Point != "" && r.Point != cdp.LastWrite && !cdp.IsPointID(r.Point) {
		res, err := c.Journal().Resolve(ctx, api.ResolveRequest{Group: cdp.GroupID(r.Job), Point: r.Point})
		if err != nil {
			return "", err
		}
		if request = res.Point == nil; !request {
			r.Point = res.Point.ID()
		}
	}
	if request {
		return "", c.conn.Request(ctx, c.site, subjects.Failover, api.FailoverStart, r, nil)
	}
	window := ""
	if r.CommitWindow != 0 {
		window = r.CommitWindow.String()
	}
	return c.send(ctx, c.site, event.FailoverStart{Job: r.Job, Run: r.ID, Point: r.Point, At: r.At, Mode: r.Mode, To: r.To, Listen: r.Listen, Shutdown: r.Shutdown, Force: r.Force, NoReIP: r.NoReIP,
		CommitPolicy: r.CommitPolicy, CommitWindow: window})
}

// Unfence lets the VM at the source of a committed failover be powered on again; it is
// done when the source answers. Duplicate if that was asked for already.
func (c *Client) Unfence(ctx context.Context, name string) (cdp.GroupID, error) {
	const op = "release the VM at the source"
	group, err := c.Group(ctx, name)
	if err != nil {
		return "", err
	}
	old, err := c.Failover(ctx, group)
	if err != nil {
		return group, err
	}
	if old == nil {
		return group, cdp.Errorf(cdp.NotFound, op, string(group), "no failover was ever started for it")
	}
	if err := old.CheckLift(); err != nil {
		return group, err
	}
	return group, cdp.Wrap(c.conn.Request(ctx, c.site, subjects.Failover, api.FailoverUnfence, api.UnfenceRequest{Job: string(group)}, nil), op, string(group))
}

// Ending is how a failover run is to end.
type Ending struct {
	Goal  recovery.Goal // Cleanup, Undo or Commit
	Run   string        // empty: the current one
	Force bool          // disconnect clients of the run's disks; a commit closes exports, too
	// Verdict and Note are what is said of a test that is cleaned up; empty: nothing.
	Verdict cdp.Verdict
	Note    string
	By      string // who says so
}

// EndFailover asks a group's run for its end. Duplicate if that was done already.
func (c *Client) EndFailover(ctx context.Context, name string, end Ending) (Asked, error) {
	goal := end.Goal
	op := string(goal) + " failover"
	group, err := c.Group(ctx, name)
	if err != nil {
		return Asked{}, err
	}
	old, err := c.Failover(ctx, group)
	if err != nil {
		return Asked{}, err
	}
	if old == nil {
		return Asked{}, cdp.Errorf(cdp.NotFound, op, string(group), "no failover was ever started for it")
	}
	if err := old.CheckAsk(goal); err != nil {
		return Asked{}, err
	}
	x := Asked{Job: string(group), Run: cmp.Or(end.Run, old.ID), Before: old, goal: goal}
	var cmd event.Payload
	switch goal {
	case recovery.Cleanup:
		cmd = event.FailoverCleanup{Job: x.Job, Run: x.Run, Force: end.Force, Verdict: end.Verdict, Note: end.Note, By: end.By}
	case recovery.Undo:
		cmd = event.FailoverUndo{Job: x.Job, Run: x.Run, Force: end.Force}
	case recovery.Commit:
		cmd = event.FailoverCommit{Job: x.Job, Run: x.Run, Force: end.Force}
	default:
		return x, cdp.Errorf(cdp.Invalid, op, x.Job, "want cleanup, undo or commit")
	}
	x.id, err = c.send(ctx, c.site, cmd)
	return x, cdp.Wrap(err, op, x.Job)
}

// FollowFailover waits until a run that was asked for has come to rest: its disks
// can be used (with ready also: the replica holds the point), it has ended, or it
// has failed. shown is given the run whenever it was read, and never another run. A
// refusal of what was asked for is the error; a run that failed is not.
func (c *Client) FollowFailover(ctx context.Context, x Asked, ready bool, shown func(failoverrun.Run)) (failoverrun.Run, error) {
	var last failoverrun.Run
	err := c.await(ctx, c.site, x.id, x.Job, func(ctx context.Context) (bool, error) {
		st, err := c.Failover(ctx, cdp.GroupID(x.Job))
		if err != nil || st == nil || st.ID != x.Run { // not begun: an earlier run is none of this one's business
			return false, err
		}
		last = *st
		done := x.rests(last, ready)
		if done || last.Phase != recovery.Failed {
			shown(last)
		}
		return done, nil
	})
	op := "failover"
	if x.goal != "" {
		op = string(x.goal) + " failover"
	}
	return last, cdp.Wrap(err, op, x.Job)
}

// rests says whether what was asked for is done, or has failed.
func (x Asked) rests(s failoverrun.Run, ready bool) bool {
	if x.goal != "" {
		return s.Goal == x.goal && (s.Over() || s.Phase == recovery.Failed)
	}
	return s.Phase == recovery.Ready || s.Phase == recovery.Failed ||
		s.Phase == recovery.Usable && s.To != recovery.ToVM && !ready
}
