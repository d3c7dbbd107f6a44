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
	"tidemark.dev/pkg/core/failoverrun"
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
	var vms vmFlags
	end := client.Ending{Goal: g}
	var out format
	c := &cobra.Command{
		Use: use, Short: short, Long: long(short + "." + more + `

Of a job on several VMs choose those that are meant with --vm, or --all.`), Args: cobra.ExactArgs(1), ValidArgsFunction: a.complete(jobNames),
		Example: "  tidemark failover " + strings.Replace(use, "JOB", "web", 1),
		RunE: func(c *cobra.Command, args []string) error {
			if vms.given() && vms.parallel < 1 {
				return usage("--parallel %d: must be at least 1", vms.parallel)
			}
			return a.with(c.Context(), func(ctx context.Context, cl *client.Client) error {
				ctx, cancel := w.bound(ctx)
				defer cancel()
				if vms.given() {
					if g == recovery.Cleanup {
						if err := checkVerdict(&end); err != nil {
							return err
						}
					}
					return a.endVMs(ctx, cl, args[0], end, vms, yes, w.no, out)
				}
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
	vms.register(c)
	w.register(c, 5*time.Minute)
	out.register(c)
	return c
}

// endVMs ends the runs of several VMs of a job, each by itself. Of all its VMs, those that
// have nothing to end are left as they are.
func (a *app) endVMs(ctx context.Context, c *client.Client, name string, end client.Ending, vms vmFlags, yes, now bool, out format) error {
	of, err := c.VMJob(ctx, name)
	if err != nil {
		return err
	}
	if of == nil {
		return usage("--vm and --all are for jobs on VMs, and %s is none", name)
	}
	named, err := a.chosen(ctx, c, name, vmFlags{names: vms.names, all: vms.all})
	if err != nil {
		return err
	}
	var jobs []string
	for i, job := range named {
		run, err := c.Failover(ctx, cdp.GroupID(job))
		if err != nil {
			return err
		}
		if i >= len(vms.names) && (run == nil || run.CheckAsk(end.Goal) != nil) {
			fmt.Fprintf(a.err, "  %s has nothing to %s\n", job, end.Goal)
			continue
		}
		jobs = append(jobs, job)
	}
	if len(jobs) == 0 {
		return cdp.Errorf(cdp.Conflict, string(end.Goal)+" failover", name, "none of its %d VMs has anything to %s", len(named), end.Goal).
			WithHint("see: tidemark status " + name)
	}
	return a.eachVM(jobs, vms.parallel, out, string(end.Goal)+" failover of", func(job string) (failoverrun.Run, error) {
		if end.Goal == recovery.Undo && !yes && !end.Force {
			if err := a.discards(ctx, c, job); err != nil {
				return failoverrun.Run{}, err
			}
		}
		asked, err := c.EndFailover(ctx, job, end)
		if cdp.Is(err, cdp.Duplicate) {
			run, err := c.Failover(ctx, cdp.GroupID(job))
			if err != nil || run == nil {
				return failoverrun.Run{}, err
			}
			return *run, nil
		}
		begun := failoverrun.Run{Request: failoverrun.Request{Job: job, ID: asked.Run}}
		if err != nil || now {
			return begun, err
		}
		run, err := c.FollowFailover(ctx, asked, false, func(failoverrun.Run) {})
		if err == nil && run.Phase == recovery.Failed {
			err = cdp.Errorf(run.Kind, string(end.Goal)+" failover", job, "%s", run.Error).WithHint(run.Hint)
		}
		return run, err
	})
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
