package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/contract/recovery"
)

// failoverAsk is a command that ends a run.
func (a *app) failoverAsk(g recovery.Goal, use, short, more string) *cobra.Command {
	var w waitFlags
	var yes bool
	end := client.Ending{Goal: g}
	var out format
	c := &cobra.Command{
		Use: use, Short: short, Long: long(short + "." + more), Args: cobra.ExactArgs(1), ValidArgsFunction: a.complete(jobNames),
		Example: "  tidemark failover " + strings.Replace(use, "JOB", "web", 1),
		RunE: func(c *cobra.Command, args []string) error {
			return a.with(c.Context(), func(ctx context.Context, cl *client.Client) error {
				ctx, cancel := w.bound(ctx)
				defer cancel()
				if g == recovery.Undo && !yes && !end.Force {
					if err := a.discards(ctx, cl, args[0]); err != nil {
						return err
					}
				}
				asked, err := cl.EndFailover(ctx, args[0], end)
				switch {
				case cdp.Is(err, cdp.Duplicate):
					if out.text() {
						fmt.Fprintf(a.out, "%s\n", cdp.Wrap(err, "nothing to do", ""))
						return nil
					}
					return a.lastRun(ctx, cl, out, args[0])
				case err != nil || w.no:
					return err
				}
				return a.follow(ctx, cl, asked, false, out)
			})
		},
	}
	c.Flags().StringVar(&end.Run, "run", "", "which run (default: the current one)")
	force := "disconnect the clients of the run's disks, whose writes are discarded"
	if g == recovery.Commit {
		force = "disconnect the clients of the run's disks, and close open exports"
	}
	c.Flags().BoolVar(&end.Force, "force", false, force)
	if g == recovery.Undo {
		c.Flags().BoolVar(&yes, "yes", false, "confirm that what the machine has written is discarded")
	}
	w.register(c, 5*time.Minute)
	out.register(c)
	return c
}

// discards is Conflict if an undo of the job's run discards what a machine has written,
// and says how much that is.
func (a *app) discards(ctx context.Context, c *client.Client, job string) error {
	group, err := c.Group(ctx, job)
	if err != nil {
		return err
	}
	run, err := c.Failover(ctx, group)
	if err != nil || run == nil || run.CheckAsk(recovery.Undo) != nil || run.Goal != recovery.Recover {
		return err // it is refused, or is on its way
	}
	written, err := c.Written(ctx, *run)
	if err != nil { // to take it back matters more than to know this
		written = "an unknown amount, for the journal does not answer"
	}
	if written == "" {
		return nil
	}
	return cdp.Errorf(cdp.Conflict, "undo failover", run.Job, "it would discard what the machine has written since %s: %s", clockText(run.UsableAt), written).
		WithHint("if that is meant: --yes; to keep it: tidemark failover commit " + run.Job)
}

// lastRun prints a job's last run as data.
func (a *app) lastRun(ctx context.Context, c *client.Client, out format, job string) error {
	group, err := c.Group(ctx, job)
	if err != nil {
		return err
	}
	st, err := c.Failover(ctx, group)
	if err != nil || st == nil {
		return err
	}
	return out.facts(a.out, st, st.ID, nil)
}
