package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/core/failoverrun"
)

func (a *app) cmdFailoverCheck() *cobra.Command {
	var w waitFlags
	var run string
	var out format
	c := &cobra.Command{
		Use: "check JOB", Short: "Check the VM of a failover again", Args: cobra.ExactArgs(1), ValidArgsFunction: a.complete(jobNames),
		Long: long(`Make the checks of a failover's VM once more, after what was wrong has been mended. The
VM runs on meanwhile. A commit policy that a failed check held goes on once all pass, and
the verdict of a test keeps what was found last. It is an error if a check fails again.`),
		Example: "  tidemark failover check shop-db1",
		RunE: func(c *cobra.Command, args []string) error {
			return a.with(c.Context(), func(ctx context.Context, cl *client.Client) error {
				ctx, cancel := w.bound(ctx)
				defer cancel()
				asked, err := cl.CheckFailover(ctx, args[0], run)
				if err != nil || w.no {
					return err
				}
				st, err := a.followRun(ctx, cl, asked, false)
				if err == nil {
					err = a.outcome(st, out)
				}
				if err == nil && st.CheckFailed {
					err = cdp.Errorf(cdp.Conflict, "check the VM of", st.Job, "not every check passed").WithHint(st.NextText())
				}
				return err
			})
		},
	}
	c.Flags().StringVar(&run, "run", "", "which run (default: the current one)")
	w.register(c, 5*time.Minute)
	out.register(c)
	return c
}

// lastedText is how long a step took; a dash while that is not known.
func lastedText(st failoverrun.StepRecord) string {
	if st.EndedAt.IsZero() {
		return "-"
	}
	return round(st.Lasted())
}
