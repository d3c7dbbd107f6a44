package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
)

func (a *app) cmdJob() *cobra.Command {
	status := a.statusCommand("status NAME", "How one job stands; of a job on VMs, how each of its VMs stands", "  tidemark job status web\n  tidemark job status shop -o json")
	status.Args = cobra.ExactArgs(1)
	return group("job", "Run, stop and look at jobs", "  tidemark job run web\n  tidemark job status web",
		a.jobCommand("run", "Start a job: capture its disks, and set recovery points", api.DesiredRunning,
			func(job string) event.Payload { return event.JobRun{Job: job} }),
		a.jobCommand("stop", "Stop a job: no more recovery points are set; what is there stays recoverable", api.DesiredStopped,
			func(job string) event.Payload { return event.JobStop{Job: job} }),
		status)
}

func (a *app) jobCommand(verb, short string, want api.Desired, cmd func(string) event.Payload) *cobra.Command {
	var w waitFlags
	c := &cobra.Command{
		Use: verb + " NAME", Short: short, Args: cobra.ExactArgs(1),
		Long:    long(short + ". Doing it twice is no error.\nOf a job on VMs, all VMs are meant, and those that join later."),
		Example: "  tidemark job " + verb + " web",
		RunE: func(c *cobra.Command, args []string) error {
			name := args[0]
			return a.with(c.Context(), func(ctx context.Context, cl *session) error {
				vmJob, err := cl.vmJob(ctx, name)
				if err != nil {
					return err
				}
				if vmJob != nil {
					return a.vmJobCommand(ctx, cl, vmJob.Name, verb, want)
				}
				job, err := cl.job(ctx, name)
				if err != nil {
					return err
				}
				ctx, cancel := w.bound(ctx)
				defer cancel()
				err = cl.client.Do(ctx, job.Target.Site, cmd(name), w.until(func(ctx context.Context) (bool, error) {
					st, err := cl.runState(ctx, name)
					return st != nil && st.Desired == want || st == nil && want == api.DesiredStopped, err
				}))
				if err != nil {
					return cdp.Wrap(err, verb+" job", name)
				}
				if w.no {
					fmt.Fprintf(a.out, "asked to %s %s\n", verb, name)
					return nil
				}
				fmt.Fprintf(a.out, "%s is %s\n", name, want)
				return nil
			})
		},
	}
	w.register(c, 15*time.Second)
	return c
}

// vmJobCommand runs or stops a job on VMs. The vcenter service keeps what is
// wanted, and does it for each VM as soon as that can be.
func (a *app) vmJobCommand(ctx context.Context, c *session, name, verb string, want api.Desired) error {
	endpoint := api.VMJobRun
	if want == api.DesiredStopped {
		endpoint = api.VMJobStop
	}
	if _, err := askVCenter[api.Empty](ctx, c, c.site, endpoint, api.VMJobName{Job: name}); err != nil {
		return cdp.Wrap(err, verb+" job", name)
	}
	fmt.Fprintf(a.out, "%s is %s; its VMs: tidemark job status %s\n", name, want, name)
	return nil
}

// waitFlags say how long a command waits for what it asked for.
type waitFlags struct {
	timeout time.Duration
	no      bool
}

func (w *waitFlags) register(c *cobra.Command, d time.Duration) {
	c.Flags().DurationVar(&w.timeout, "timeout", d, "how long to wait until it is done")
	c.Flags().BoolVar(&w.no, "no-wait", false, "only ask, do not wait")
}

func (w *waitFlags) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, w.timeout)
}

// until is done, or nil with --no-wait.
func (w *waitFlags) until(done func(context.Context) (bool, error)) func(context.Context) (bool, error) {
	if w.no {
		return nil
	}
	return done
}
