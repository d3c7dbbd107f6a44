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
			return a.with(c.Context(), func(ctx context.Context, cl *client.Client) error {
				if kind == spec.KindSite {
					err = cl.DeleteSite(ctx, cdp.Site(name))
				} else {
					ctx, cancel := context.WithTimeout(ctx, timeout)
					defer cancel()
					m := newMeter(a, name)
					defer m.close()
					err = cl.DeleteJob(ctx, api.JobDeleteRequest{Job: name, DropPoints: yes, Replicas: replicas}, m.show)
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
