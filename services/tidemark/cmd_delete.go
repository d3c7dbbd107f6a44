package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"tidemark.dev/pkg/api"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/event"
	"tidemark.dev/pkg/spec"
	"tidemark.dev/services/scheduler"
)

func (a *app) cmdDelete() *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use:   "delete KIND NAME",
		Short: "Remove the description of a site or a stopped job",
		Long: long(`Remove a description. A job must be stopped, and have no failover under way. Its
journal is dropped with all recovery points, so a job that has any needs --yes.
The images of the replica stay as they are.`),
		Example: "  tidemark delete job web --yes",
		Args:    cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			kind, name, err := kindAndName(args)
			if err != nil {
				return err
			}
			return a.with(c.Context(), func(ctx context.Context, cl *client) error {
				if kind == spec.KindSite {
					err = cl.deleteSite(ctx, name)
				} else {
					err = cl.deleteJob(ctx, name, yes)
				}
				if err == nil {
					fmt.Fprintf(a.out, "%s deleted\n", name)
				}
				return err
			})
		},
	}
	c.Flags().BoolVar(&yes, "yes", false, "drop the recovery points, too")
	return c
}

func (c *client) deleteSite(ctx context.Context, name string) error {
	if _, err := c.objects(ctx, spec.KindSite, name); err != nil {
		return err
	}
	jobs, err := c.objects(ctx, spec.KindJob, "")
	if err != nil {
		return err
	}
	for _, o := range jobs {
		if string(o.Job.Source.Site) == name || string(o.Job.Target.Site) == name {
			return cdp.Errorf(cdp.Conflict, "delete site", name, "the job %s uses it", o.Job.Name)
		}
	}
	b, err := c.sites(ctx)
	if err != nil {
		return err
	}
	return b.Delete(ctx, name, 0)
}

func (c *client) deleteJob(ctx context.Context, name string, yes bool) error {
	const op = "delete job"
	if _, err := c.job(ctx, name); err != nil {
		return err
	}
	st, err := c.runState(ctx, name)
	if err != nil {
		return err
	}
	if st != nil && st.Desired == scheduler.Running {
		return cdp.Errorf(cdp.Conflict, op, name, "it is running").WithHint("stop it first: tidemark job stop " + name)
	}
	run, err := c.run(ctx, name)
	if err != nil {
		return err
	}
	if run != nil && !run.Over() {
		return cdp.Errorf(cdp.Conflict, op, name, "the failover run %s is %s", run.Run, run.Phase).
			WithHint("end it first: see tidemark failover status " + name)
	}
	if !yes {
		if err := c.pointless(ctx, name); err != nil {
			return cdp.Wrap(err, op, name)
		}
	}
	b, err := c.jobs(ctx)
	if err == nil {
		err = b.Delete(ctx, name, 0)
	}
	if err == nil {
		err = c.conn.Emit(ctx, event.JobDeleted{Job: name})
	}
	return cdp.Wrap(err, op, name)
}

// pointless returns a Conflict if the job has recovery points, or may have.
func (c *client) pointless(ctx context.Context, name string) error {
	all, err := ask[api.StatusReply](ctx, c.journal(), api.JournalStatus, api.GroupRequest{})
	if err != nil {
		e := &cdp.Error{Op: "count recovery points", Kind: cdp.Conflict, Cause: err}
		return e.WithHint("delete it whatever it has with --yes")
	}
	for _, g := range all.Groups {
		if string(g.Group) == name && g.Points > 0 {
			return cdp.Errorf(cdp.Conflict, "count recovery points", "", "%d would be gone", g.Points).WithHint("if that is meant: --yes")
		}
	}
	return nil
}
