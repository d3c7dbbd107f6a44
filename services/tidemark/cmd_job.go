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
	var out format
	c := &cobra.Command{
		Use: "run NAME", Short: "Start a job, and wait until it is protected", Args: cobra.ExactArgs(1), ValidArgsFunction: a.complete(jobNames),
		Long: long(runLong), Example: "  tidemark job run web\n  tidemark job run web --no-wait",
		RunE: func(c *cobra.Command, args []string) error {
			return a.with(c.Context(), func(ctx context.Context, cl *client.Client) error { return a.runJob(ctx, cl, args[0], w, out) })
		},
	}
	c.Flags().DurationVar(&w.timeout, "timeout", 24*time.Hour, "how long to wait")
	c.Flags().BoolVar(&w.no, "no-wait", false, "do not wait until it is protected")
	out.register(c)
	return c
}

// jobOutcome is what became of a job, as data.
type jobOutcome struct {
	Job string `json:"job"`
	// Desired is whether it should run.
	Desired api.Desired `json:"desired,omitempty"`
	// Protected: every write of it is at the target.
	Protected bool `json:"protected,omitempty"`
}

// say prints what became of a job, as text or as data.
func (a *app) say(out format, o jobOutcome, text string, args ...any) error {
	return out.facts(a.out, o, o.Job, func() error {
		_, err := fmt.Fprintf(a.out, text+"\n", args...)
		return err
	})
}

// toldWithin is how long the scheduler may take to note that a job is to run.
const toldWithin = 15 * time.Second

func (a *app) runJob(ctx context.Context, c *client.Client, name string, w waitFlags, out format) error {
	tctx, cancel := context.WithTimeout(ctx, toldWithin)
	defer cancel()
	vmJob, err := c.VMJob(tctx, name)
	if err == nil {
		err = c.SetRunning(tctx, name, true, true)
	}
	if err != nil {
		return err
	}
	runs := jobOutcome{Job: name, Desired: api.DesiredRunning}
	if vmJob != nil {
		return a.say(out, runs, "%s is %s; its VMs: tidemark job status %s", name, api.DesiredRunning, name)
	}
	job, err := c.Job(tctx, name)
	switch {
	case err != nil:
		return err
	case w.no || job.Source.VM != "":
		return a.say(out, runs, "%s is %s", name, api.DesiredRunning)
	case job.Source.Capture == cdp.Tap:
		return a.say(out, runs, "%s is %s; attach the VM's disks: tidemark tap attach %s", name, api.DesiredRunning, name)
	}
	ctx, cancel = w.bound(ctx)
	defer cancel()
	m := newMeter(a, name)
	err = c.AwaitProtected(ctx, name, func(g health.Group) { m.show(g.Progress()) })
	m.close()
	if err != nil {
		return err
	}
	runs.Protected = true
	return a.say(out, runs, "%s is protected", name)
}

func (a *app) cmdJobStop() *cobra.Command {
	var w waitFlags
	var out format
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
				stops := jobOutcome{Job: name, Desired: api.DesiredStopped}
				switch {
				case err != nil:
					return err
				case vmJob != nil:
					return a.say(out, stops, "%s is %s; its VMs: tidemark job status %s", name, api.DesiredStopped, name)
				case w.no:
					return a.say(out, stops, "asked to stop %s", name)
				}
				return a.say(out, stops, "%s is %s", name, api.DesiredStopped)
			})
		},
	}
	w.register(c, 15*time.Second)
	out.register(c)
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
