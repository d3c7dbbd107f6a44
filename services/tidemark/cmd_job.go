package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/core/health"
)

func (a *app) cmdJob() *cobra.Command {
	status := a.statusCommand("status NAME", "Show the state of one job; of a job on VMs, the state of each VM", "  tidemark job status web\n  tidemark job status shop -o json")
	status.Args = cobra.ExactArgs(1)
	return group("job", "Run, stop and look at jobs", "  tidemark job run web\n  tidemark job status web",
		a.cmdJobRun(), a.cmdJobStop(),
		status)
}

const runLong = `Start a job: capture its disks and make recovery points.
Doing it twice is no error. The command waits until the job is protected, or has
failed; whatever comes of it, the job goes on by itself. It does not wait for a tap,
whose client is attached next, nor for the VMs of a job on VMs: it applies to all of
them, and to those that join it later.`

func (a *app) cmdJobRun() *cobra.Command {
	var w waitFlags
	c := &cobra.Command{
		Use: "run NAME", Short: "Start a job, and wait until it is protected", Args: cobra.ExactArgs(1), ValidArgsFunction: a.complete(jobNames),
		Long: long(runLong), Example: "  tidemark job run web\n  tidemark job run web --no-wait",
		RunE: func(c *cobra.Command, args []string) error {
			return a.with(c.Context(), func(ctx context.Context, cl *client.Client) error { return a.runJob(ctx, cl, args[0], w) })
		},
	}
	c.Flags().DurationVar(&w.timeout, "timeout", 24*time.Hour, "how long to wait")
	c.Flags().BoolVar(&w.no, "no-wait", false, "do not wait until it is protected")
	return c
}

// toldWithin is how long the scheduler may take to note that a job is to run.
const toldWithin = 15 * time.Second

func (a *app) runJob(ctx context.Context, c *client.Client, name string, w waitFlags) error {
	tctx, cancel := context.WithTimeout(ctx, toldWithin)
	defer cancel()
	vmJob, err := c.VMJob(tctx, name)
	if err == nil {
		err = c.SetRunning(tctx, name, true, true)
	}
	if err != nil {
		return err
	}
	if vmJob != nil {
		fmt.Fprintf(a.out, "%s is %s; its VMs: tidemark job status %s\n", name, api.DesiredRunning, name)
		return nil
	}
	job, err := c.Job(tctx, name)
	switch {
	case err != nil:
		return err
	case w.no || job.Source.VM != "":
		fmt.Fprintf(a.out, "%s is %s\n", name, api.DesiredRunning)
		return nil
	case job.Source.Capture == cdp.Tap:
		fmt.Fprintf(a.out, "%s is %s; attach the VM's disks: tidemark tap attach %s\n", name, api.DesiredRunning, name)
		return nil
	}
	ctx, cancel = w.bound(ctx)
	defer cancel()
	m := newMeter(a, name)
	err = c.AwaitProtected(ctx, name, func(g health.Group) { m.show(g.Progress()) })
	m.close()
	if err == nil {
		fmt.Fprintf(a.out, "%s is protected\n", name)
	}
	return err
}

func (a *app) cmdJobStop() *cobra.Command {
	var w waitFlags
	const short = "Stop a job: no more recovery points are made; those there are stay recoverable"
	c := &cobra.Command{
		Use: "stop NAME", Short: short, Args: cobra.ExactArgs(1), ValidArgsFunction: a.complete(jobNames),
		Long:    long(short + ".\nDoing it twice is no error. For a job on VMs it applies to all its VMs, and to those\nthat join it later."),
		Example: "  tidemark job stop web",
		RunE: func(c *cobra.Command, args []string) error {
			name := args[0]
			return a.with(c.Context(), func(ctx context.Context, cl *client.Client) error {
				ctx, cancel := w.bound(ctx)
				defer cancel()
				vmJob, err := cl.VMJob(ctx, name)
				if err == nil {
					err = cl.SetRunning(ctx, name, false, !w.no)
				}
				switch {
				case err != nil:
					return err
				case vmJob != nil:
					fmt.Fprintf(a.out, "%s is %s; its VMs: tidemark job status %s\n", name, api.DesiredStopped, name)
				case w.no:
					fmt.Fprintf(a.out, "asked to stop %s\n", name)
				default:
					fmt.Fprintf(a.out, "%s is %s\n", name, api.DesiredStopped)
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
