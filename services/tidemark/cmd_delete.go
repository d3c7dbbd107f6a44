package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/spec"
)

// deletedThing is what a deletion prints as data.
type deletedThing struct {
	Kind    string `json:"kind"`
	Name    string `json:"name"`
	Deleted bool   `json:"deleted"`
}

func (a *app) cmdDelete() *cobra.Command {
	var yes, replicas, force, forget bool
	var timeout time.Duration
	var out format
	c := &cobra.Command{
		Use:   "delete KIND NAME",
		Short: "Delete a site, a stopped job or a site recovery job",
		Long: long(`Delete a site that no job uses, or a job that is stopped and has no failover in
progress. The journal of a job is deleted with all its recovery points; if there are
any, confirm that with --yes. What a retention lock holds is kept until the lock is
over: apply the job again to use it. While an export of the job is open, it is not
deleted without --force. A job whose failover still has to power off the VM at a source
that does not answer, or to give it back, is not deleted without --forget-owed. Replica images stay as they are. A site recovery job is
deleted with its history, unless it runs.

The replica VMs of a job on VMs stay too, and Tidemark no longer manages them; with
--replicas they are deleted with their disks. A single VM that a job on VMs no longer
selects is released by the name of its own job.`),
		Example: "  tidemark delete job web --yes\n  tidemark delete job shop --yes --replicas",
		Args:    cobra.ExactArgs(2), ValidArgsFunction: a.complete(kinds, ofKind),
		RunE: func(c *cobra.Command, args []string) error {
			kind, name, err := kindAndName(args)
			if err != nil {
				return err
			}
			return a.with(c.Context(), func(ctx context.Context, cl *client.Client) error {
				switch kind {
				case spec.KindSite:
					err = cl.DeleteSite(ctx, cdp.Site(name))
				case spec.KindPlan:
					err = cl.DeletePlan(ctx, name)
				default:
					ctx, cancel := context.WithTimeout(ctx, timeout)
					defer cancel()
					m := newMeter(a, name)
					defer m.close()
					err = cl.DeleteJob(ctx, api.JobDeleteRequest{Job: name, DropPoints: yes, Replicas: replicas, Force: force, ForgetOwed: forget}, m.show)
				}
				if err != nil {
					return err
				}
				return out.facts(a.out, deletedThing{kind, name, true}, name, func() error {
					_, err := fmt.Fprintf(a.out, "%s deleted\n", name)
					return err
				})
			})
		},
	}
	c.Flags().BoolVar(&yes, "yes", false, "confirm that the recovery points are deleted, too")
	c.Flags().BoolVar(&force, "force", false, "also delete a job whose points are being exported; its exports are closed")
	c.Flags().BoolVar(&forget, "forget-owed", false, "also delete a job whose failover still has to power off the VM at the source, or to give it back; that is never done then")
	c.Flags().BoolVar(&replicas, "replicas", false, "also delete the replica VMs of a job on VMs, with their disks")
	c.Flags().DurationVar(&timeout, "timeout", 10*time.Minute, "how long to wait for the deletion of a job")
	out.register(c)
	return c
}
