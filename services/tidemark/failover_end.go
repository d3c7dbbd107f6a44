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

// failoverEnds are the commands that end a run.
func (a *app) failoverEnds() []*cobra.Command {
	return []*cobra.Command{
		a.failoverAsk(recovery.Cleanup, "cleanup JOB", "End a test failover and remove everything it made", `
Say what came of the test with --verdict passed or failed, and why with --note. That is
kept on the recovery point, with who said it, when, and what the checks of the VM found:
see tidemark point list.`),
		a.failoverAsk(recovery.Undo, "undo JOB", "Undo a production failover: replication goes on, and all points are kept", `
What the machine has written since is discarded. If it has written anything, the command
says how much, and does nothing without --yes.`),
		a.failoverAsk(recovery.Commit, "commit JOB", "Make a production failover final: the replica becomes the disk, with what the VM wrote; recovery points end. Shut the VM down before", ""),
	}
}

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
				if g == recovery.Cleanup {
					if err := checkVerdict(&end); err != nil {
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
	if g == recovery.Cleanup {
		c.Flags().StringVar((*string)(&end.Verdict), "verdict", "", "what came of the test: passed or failed; it is kept on the recovery point")
		c.Flags().StringVar(&end.Note, "note", "", "with --verdict: why")
		completeWords(c, "verdict", "passed", "failed")
	}
	w.register(c, 5*time.Minute)
	out.register(c)
	return c
}

// checkVerdict says whether the verdict of a test can be kept, and who gives it.
func checkVerdict(end *client.Ending) error {
	if end.Verdict == "" {
		if end.Note != "" {
			return usage("--note needs --verdict passed or failed")
		}
		return nil
	}
	end.By = whoami()
	return cdp.CheckVerdict(end.Verdict, end.Note)
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
