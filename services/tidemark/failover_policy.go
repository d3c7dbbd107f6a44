package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/spec"
)

// registerPolicy adds the options of the commit window.
func (f *failoverFlags) registerPolicy(c *cobra.Command) {
	c.Flags().StringVar(&f.policy, "commit-policy", "", "how a production failover ends if nobody ends it: none, commit or undo (default: as the job says, or else none)")
	c.Flags().DurationVar(&f.window, "commit-window", 0, "with --commit-policy commit or undo: after how long, 5m to 24h (default 1h)")
	completeWords(c, "commit-policy", "none", "commit", "undo")
}

func (a *app) cmdFailoverPolicy() *cobra.Command {
	var window time.Duration
	var run string
	var out format
	c := &cobra.Command{
		Use: "policy JOB none|commit|undo", Short: "Set how a production failover ends if nobody ends it", Args: cobra.ExactArgs(2), ValidArgsFunction: a.complete(jobNames),
		Long: long(`Set how a production failover ends if nobody ends it: none waits for a person, commit
makes it final, and undo takes it back, which discards what the machine has written. The
window begins anew: --window after the failover was ready, or after this command.

Before the end comes a warning: the event failover.window-ending, and a line in tidemark
status, 10 minutes before, or after half of a short window. A failover is never ended
without that time, even if the service was down. What would refuse a person holds the
policy, too: clients of the disks, a retention lock, and, for a commit, a check of the
VM that failed. The status says so then, and the policy is carried out when it can be.`),
		Example: "  tidemark failover policy web undo --window 2h\n  tidemark failover policy web none",
		RunE: func(c *cobra.Command, args []string) error {
			return a.with(c.Context(), func(ctx context.Context, cl *client.Client) error {
				st, err := cl.SetCommitPolicy(ctx, args[0], run, recovery.Policy(args[1]), spec.Duration(window))
				if err != nil {
					return err
				}
				return out.facts(a.out, st, st.ID, func() error {
					text := st.WindowText()
					if st.CommitPolicy.Goal() == "" {
						text = "it waits for a person"
					} else if text == "" {
						text = "its window begins when it is ready"
					}
					_, err := fmt.Fprintf(a.out, "the failover %s of %s: %s\n", st.ID, st.Job, text)
					return err
				})
			})
		},
	}
	c.Flags().DurationVar(&window, "window", 0, "with commit or undo: after how long, 5m to 24h (default 1h)")
	c.Flags().StringVar(&run, "run", "", "which run (default: the current one)")
	out.register(c)
	return c
}
