package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/clock"
)

// watchFlags say whether a command shows its facts again and again.
type watchFlags struct {
	on    bool
	every time.Duration
	times int // 0: until ctrl-c
}

func (f *watchFlags) register(c *cobra.Command) {
	c.Flags().BoolVarP(&f.on, "watch", "w", false, "show it again and again until ctrl-c; in place on a terminal")
	c.Flags().DurationVar(&f.every, "every", 2*time.Second, "with --watch: how often")
}

// watch shows something once, or again and again. What goes wrong in a watch is shown
// and may pass.
func (a *app) watch(ctx context.Context, f watchFlags, show func(io.Writer) error) error {
	if !f.on {
		return show(a.out)
	}
	if isTerminal(a.out) {
		io.WriteString(a.out, "\x1b[2J")
	}
	for n := 1; ; n++ {
		err := frame(a.out, func(w io.Writer) error {
			if err := show(w); err != nil && ctx.Err() == nil {
				report(w, err)
			}
			return nil
		})
		if err != nil || n == f.times || clock.Sleep(ctx, a.clock(), f.every) != nil {
			return err
		}
	}
}

func (a *app) cmdTop() *cobra.Command {
	f := watchFlags{on: true}
	c := &cobra.Command{
		Use: "top", Short: "Show the status repeatedly", Args: cobra.NoArgs,
		Long: long(`Show the status of all jobs until ctrl-c, with the time of each look: in place on a
terminal, otherwise one after the other.`),
		Example: "  tidemark top\n  tidemark top --every 10s | tee protection.log",
		RunE: func(c *cobra.Command, _ []string) error {
			return a.with(c.Context(), func(ctx context.Context, cl *client.Client) error {
				return a.watch(ctx, f, func(w io.Writer) error {
					fmt.Fprintf(w, "%s  site %s\n", clockText(a.clock().Now()), cl.Site())
					_, err := showStatus(ctx, w, cl, asTable, "")
					return err
				})
			})
		},
	}
	c.Flags().DurationVar(&f.every, "every", 2*time.Second, "how often to refresh")
	c.Flags().IntVar(&f.times, "times", 0, "how many times; 0 means until ctrl-c")
	return c
}
