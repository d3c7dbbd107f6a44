package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/core/health"
)

func (a *app) cmdStatus() *cobra.Command {
	return a.statusCommand("status [JOB]", "Show whether everything is protected, and what to do if it is not", "  tidemark status\n  tidemark status web\n  tidemark status -o json")
}

func (a *app) statusCommand(use, short, example string) *cobra.Command {
	var out format
	c := &cobra.Command{
		Use: use, Short: short, Example: example, Args: cobra.MaximumNArgs(1),
		Long: long(short + ".\n\nThe RPO is what would be lost if the source failed now, with its greatest error, or\n\"no data\" if it is not known. The state of a job on VMs is that of its worst VM."),
		RunE: func(c *cobra.Command, args []string) error {
			return a.with(c.Context(), func(ctx context.Context, cl *client.Client) error {
				name := ""
				if len(args) > 0 {
					name = args[0]
				}
				vmJob, err := cl.VMJob(ctx, name)
				switch {
				case err != nil:
					return err
				case vmJob != nil:
					return a.vmJobStatus(ctx, cl, out, *vmJob)
				case name != "":
					return a.groupStatus(ctx, cl, out, name)
				}
				all, err := cl.Status(ctx)
				if err != nil {
					return err
				}
				if out != "table" {
					return out.print(a.out, all, nil, nil)
				}
				return overview(a.out, cl, all)
			})
		},
	}
	out.register(c)
	return c
}

// groupStatus shows one job of disks, or one protected VM.
func (a *app) groupStatus(ctx context.Context, c *client.Client, out format, name string) error {
	h, err := c.GroupStatus(ctx, name)
	if err != nil {
		return err
	}
	if out != "table" {
		return out.print(a.out, []health.Group{h}, nil, nil)
	}
	writeHealth(a.out, h)
	if h.Of != "" {
		fmt.Fprintf(a.out, "%-12s tidemark job status %s\n", "a VM of", h.Of)
	}
	return nil
}

func (a *app) cmdTop() *cobra.Command {
	var every time.Duration
	var times int
	c := &cobra.Command{
		Use: "top", Short: "Show the status repeatedly", Args: cobra.NoArgs,
		Long:    long("Show the status of all jobs until ctrl-c: in place on a terminal, otherwise one after\nthe other."),
		Example: "  tidemark top\n  tidemark top --every 10s | tee protection.log",
		RunE: func(c *cobra.Command, _ []string) error {
			return a.with(c.Context(), func(ctx context.Context, cl *client.Client) error {
				for n := 0; ; n++ {
					if isTerminal(a.out) {
						io.WriteString(a.out, "\x1b[H\x1b[2J")
					}
					fmt.Fprintf(a.out, "%s  site %s\n", clockText(a.clock().Now()), cl.Site())
					all, err := cl.Status(ctx)
					if ctx.Err() != nil {
						return nil
					}
					if err != nil {
						report(a.out, err) // it may pass: this is a watch
					} else if err := overview(a.out, cl, all); err != nil {
						return err
					}
					if n+1 == times {
						return nil
					}
					if clock.Sleep(ctx, a.clock(), every) != nil {
						return nil
					}
				}
			})
		},
	}
	c.Flags().DurationVar(&every, "every", 2*time.Second, "how often to refresh")
	c.Flags().IntVar(&times, "times", 0, "how many times; 0 means until ctrl-c")
	return c
}

// overview is one line per job, those of VMs below theirs, and then what needs
// attention.
func overview(w io.Writer, c *client.Client, all []health.Job) error {
	if len(all) == 0 {
		fmt.Fprintf(w, "No jobs at site %s. Create one with: tidemark apply -f FILE\n", c.Site())
		return nil
	}
	err := format("table").print(w, nil, []string{"job", "state", "rpo now", "objective", "newest point", "journal"}, func(add func(...any)) {
		for _, h := range all {
			switch {
			case h.VMs != nil:
				add(h.Job, h.State, h.RPO, h.Objective, count(len(h.VMs), "VM"), "")
			case h.Of != "":
				add("  "+h.Job, h.State, h.RPO, h.Objective, h.Newest(), h.JournalSize())
			default:
				add(h.Job, h.State, h.RPO, h.Objective, h.Newest(), h.JournalSize())
			}
		}
	})
	for _, h := range all {
		for _, p := range h.Problems {
			fmt.Fprintf(w, "\n%s: %s\n", h.Job, p.Text)
			if p.Do != "" {
				fmt.Fprintf(w, "  do: %s\n", p.Do)
			}
		}
	}
	return err
}
