package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/services/scheduler"
)

func (a *app) cmdDelete() *cobra.Command {
	var yes, replicas bool
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "delete KIND NAME",
		Short: "Remove the description of a site or a stopped job",
		Long: long(`Remove a description. A job must be stopped, and have no failover under way. Its
journal is dropped with all recovery points, so a job that has any needs --yes.
The images of the replica stay as they are. The replica VMs of a job on VMs stay,
too, and are let go of; with --replicas they are deleted with their disks. Of a
job on VMs a single VM can be let go of, by the name of its own job, once the job
does not mean it any more.`),
		Example: "  tidemark delete job web --yes\n  tidemark delete job shop --yes --replicas",
		Args:    cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			kind, name, err := kindAndName(args)
			if err != nil {
				return err
			}
			return a.with(c.Context(), func(ctx context.Context, cl *session) error {
				vmJob, err := cl.vmJob(ctx, name)
				switch {
				case err != nil:
				case kind == spec.KindSite:
					err = cl.deleteSite(ctx, name)
				case vmJob != nil:
					ctx, cancel := context.WithTimeout(ctx, timeout)
					defer cancel()
					err = a.deleteVMJob(ctx, cl, *vmJob, yes, replicas)
				default:
					ctx, cancel := context.WithTimeout(ctx, timeout)
					defer cancel()
					err = a.deleteJob(ctx, cl, name, yes, replicas)
				}
				if err == nil {
					fmt.Fprintf(a.out, "%s deleted\n", name)
				}
				return err
			})
		},
	}
	c.Flags().BoolVar(&yes, "yes", false, "drop the recovery points, too")
	c.Flags().BoolVar(&replicas, "replicas", false, "of a job on VMs: delete the replica VMs with their disks, too")
	c.Flags().DurationVar(&timeout, "timeout", 10*time.Minute, "of a job on VMs: how long to wait until it is done")
	return c
}

func (c *session) deleteSite(ctx context.Context, name string) error {
	if _, err := c.objects(ctx, spec.KindSite, name); err != nil {
		return err
	}
	jobs, err := c.described(ctx, spec.KindJob, "")
	if err != nil {
		return err
	}
	for _, o := range jobs {
		var source, target cdp.Site
		user := "the job " + o.Name()
		if o.VMJob != nil {
			source, target = o.VMJob.SourceSite, o.VMJob.TargetSite
		} else {
			source, target = o.Job.Source.Site, o.Job.Target.Site
			if o.Job.Of != "" { // an operator knows the job on VMs
				user = fmt.Sprintf("the job %s, by the replica %s,", o.Job.Of, o.Job.Target.VM)
			}
		}
		if string(source) == name || string(target) == name {
			return cdp.Errorf(cdp.Conflict, "delete site", name, "%s uses it", user)
		}
	}
	b, err := c.sites(ctx)
	if err == nil {
		err = b.Delete(ctx, name, 0)
	}
	if err == nil {
		err = c.conn.Emit(ctx, event.SiteDeleted{Site: cdp.Site(name)})
	}
	return cdp.Wrap(err, "delete site", name)
}

func (a *app) deleteJob(ctx context.Context, c *session, name string, yes, replicas bool) error {
	const op = "delete job"
	job, err := c.job(ctx, name)
	switch {
	case err != nil:
		return err
	case job.Of != "":
		return cdp.Wrap(a.deleteLeft(ctx, c, job, yes, replicas), op, name)
	case replicas:
		return usage("--replicas goes with a job on VMs: the images of %s are removed by hand", name)
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
		return cdp.Errorf(cdp.Conflict, op, name, "the failover run %s is %s", run.ID, run.Phase).
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

// deleteLeft lets go of a VM that its job does not mean any more.
func (a *app) deleteLeft(ctx context.Context, c *session, j spec.ReplicationJob, yes, replicas bool) error {
	const op = "delete job"
	states, err := c.vmJobStates(ctx, j.Of)
	if err != nil {
		return err
	}
	left := false
	if st := states[j.Of]; st != nil {
		left = slices.ContainsFunc(st.Members, func(m api.VMMember) bool { return m.Group == j.Group() && m.State == inventory.Gone })
	}
	if !left {
		return notByHand(op, j)
	}
	run, err := c.run(ctx, j.Name)
	if err != nil {
		return err
	}
	if run != nil && !run.Over() && run.Phase != recovery.Failed {
		return cdp.Errorf(cdp.Conflict, op, j.Name, "the failover run %s is %s", run.ID, run.Phase).
			WithHint("end it first: see tidemark failover status " + j.Name)
	}
	if !yes {
		if err := c.pointless(ctx, j.Name); err != nil {
			return err
		}
	}
	_, err = a.finish(ctx, j.Name, "tidemark job status "+j.Of, func(ctx context.Context) (api.Progress, error) {
		return askVCenter[api.Progress](ctx, c, c.site, api.VMJobDelete, api.VMJobDeleteRequest{Job: j.Of, Group: j.Group(), Replicas: replicas})
	})
	if err == nil {
		err = c.conn.Emit(ctx, event.JobDeleted{Job: j.Name})
	}
	return err
}

// deleteVMJob ends a job on VMs at the vCenters first, and then its spec, so
// that it can be asked again when it was interrupted.
func (a *app) deleteVMJob(ctx context.Context, c *session, j spec.VMJob, yes, replicas bool) error {
	const op = "delete job"
	states, err := c.vmJobStates(ctx, j.Name)
	if err != nil {
		return cdp.Wrap(err, op, j.Name)
	}
	if st := states[j.Name]; st != nil && st.Running {
		return cdp.Errorf(cdp.Conflict, op, j.Name, "it is running").WithHint("stop it first: tidemark job stop " + j.Name)
	}
	members, err := c.members(ctx, j.Name)
	if err != nil {
		return err
	}
	for _, m := range members {
		run, err := c.run(ctx, m.Name)
		if err != nil {
			return err
		}
		// Whether one that failed can be left as it is the vcenter service knows: its
		// VM may have been deleted.
		if run != nil && !run.Over() && run.Phase != recovery.Failed {
			return cdp.Errorf(cdp.Conflict, op, j.Name, "the failover run %s of %s is %s", run.ID, m.Name, run.Phase).
				WithHint("end it first: see tidemark failover status " + m.Name)
		}
		if yes {
			continue
		}
		if err := c.pointless(ctx, m.Name); err != nil {
			return cdp.Wrap(err, op, m.Name)
		}
	}
	_, err = a.finish(ctx, j.Name, "tidemark job status "+j.Name, func(ctx context.Context) (api.Progress, error) {
		return askVCenter[api.Progress](ctx, c, c.site, api.VMJobDelete, api.VMJobDeleteRequest{Job: j.Name, Replicas: replicas})
	})
	if err != nil {
		return cdp.Wrap(err, op, j.Name)
	}
	b, err := c.vmJobs(ctx)
	if err == nil {
		err = b.Delete(ctx, j.Name, 0)
	}
	if err == nil {
		err = c.conn.Emit(ctx, event.JobDeleted{Job: j.Name})
	}
	return cdp.Wrap(err, op, j.Name)
}

// pointless returns a Conflict if the job has recovery points, or may have.
func (c *session) pointless(ctx context.Context, name string) error {
	all, err := c.journal().All(ctx)
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
