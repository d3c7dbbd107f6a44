package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/contract/api"
)

func (a *app) cmdJob() *cobra.Command {
	status := a.statusCommand("status NAME", "Show the state of one job; of a job on VMs, the state of each VM", "  tidemark job status web\n  tidemark job status shop -o json")
	status.Args = cobra.ExactArgs(1)
	return group("job", "Run, stop and look at jobs", "  tidemark job run web\n  tidemark job status web",
		a.jobCommand("run", "Start a job: capture its disks and make recovery points", true),
		a.jobCommand("stop", "Stop a job: no more recovery points are made; those there are stay recoverable", false),
		status)
}

func (a *app) jobCommand(verb, short string, running bool) *cobra.Command {
	var w waitFlags
	c := &cobra.Command{
		Use: verb + " NAME", Short: short, Args: cobra.ExactArgs(1), ValidArgsFunction: a.complete(jobNames),
		Long:    long(short + ".\nDoing it twice is no error. For a job on VMs it applies to all its VMs, and to those\nthat join it later."),
		Example: "  tidemark job " + verb + " web",
		RunE: func(c *cobra.Command, args []string) error {
			name := args[0]
			return a.with(c.Context(), func(ctx context.Context, cl *client.Client) error {
				ctx, cancel := w.bound(ctx)
				defer cancel()
				vmJob, err := cl.VMJob(ctx, name)
				if err == nil {
					err = cl.SetRunning(ctx, name, running, !w.no)
				}
				if err != nil {
					return err
				}
				state := map[bool]api.Desired{true: api.DesiredRunning, false: api.DesiredStopped}[running]
				switch {
				case vmJob != nil:
					fmt.Fprintf(a.out, "%s is %s; its VMs: tidemark job status %s\n", name, state, name)
				case w.no:
					fmt.Fprintf(a.out, "asked to %s %s\n", verb, name)
				default:
					fmt.Fprintf(a.out, "%s is %s\n", name, state)
				}
				return nil
			})
		},
	}
	w.register(c, 15*time.Second)
	return c
}

// waitFlags say how long a command waits for what it asked for.
type waitFlags struct {
	timeout time.Duration
	no      bool
}

func (w *waitFlags) register(c *cobra.Command, d time.Duration) {
	c.Flags().DurationVar(&w.timeout, "timeout", d, "how long to wait")
	c.Flags().BoolVar(&w.no, "no-wait", false, "return at once, without waiting")
}

func (w *waitFlags) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, w.timeout)
}
