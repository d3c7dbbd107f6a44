package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/core/health"
)

func (a *app) cmdBus() *cobra.Command {
	return group("bus", "Check the site's streams and consumers, and mend them",
		"  tidemark bus check\n  tidemark bus apply --dry-run", a.cmdBusCheck(), a.cmdBusApply())
}

func (a *app) cmdBusCheck() *cobra.Command {
	var out format
	c := &cobra.Command{
		Use: "check", Short: "Show the streams and consumers of the site, and what is wrong with them", Args: cobra.NoArgs,
		Long: long(`Show the streams of the site and what they hold, its consumers and what waits for them,
the copies of other sites and how far they are behind, and the dead letters. A stream or
consumer that is missing, or is not as this version declares it, is named with the
difference. Nothing is changed. The exit code is 1 if anything is wrong.`),
		Example: "  tidemark bus check\n  tidemark bus check -o json | jq '.[] | select(.problems)'",
		RunE: func(c *cobra.Command, _ []string) error {
			return a.with(c.Context(), func(ctx context.Context, cl *client.Client) error {
				parts, err := cl.CheckBus(ctx)
				if err != nil {
					return err
				}
				err = out.print(a.out, parts, []string{"what", "name*", "messages", "size", "waiting", "problem"}, func(add func(...any)) {
					for _, p := range parts {
						add(p.What, plain(p.Name), p.Messages, humanize.IBytes(p.Bytes), p.Waiting, plain(strings.Join(p.Problems, "; ")))
					}
				})
				if err == nil {
					err = a.busProblems(parts)
				}
				return err
			})
		},
	}
	out.register(c)
	return c
}

// busProblems says what to do about each problem. With any the exit code is not 0.
func (a *app) busProblems(parts []api.BusPart) (err error) {
	for _, p := range parts {
		if len(p.Problems) == 0 {
			continue
		}
		err = verdict(health.Warning)
		fmt.Fprintf(a.err, "%s %s: %s\n", p.What, plain(p.Name), plain(strings.Join(p.Problems, "; ")))
		if p.Hint != "" {
			fmt.Fprintf(a.err, "  %s\n", plain(p.Hint))
		}
	}
	return err
}

// busTime is how long set-up may take to mend a bus.
const busTime = 30 * time.Second

func (a *app) cmdBusApply() *cobra.Command {
	var out format
	var dryRun bool
	c := &cobra.Command{
		Use: "apply", Short: "Make the streams and consumers of the site what they are declared to be", Args: cobra.NoArgs,
		Long: long(`Have the site's set-up make or update its streams and consumers as this version declares
them, and show what was different. What is as declared is not touched, and no message is
removed, unless a limit is lowered to the declared one. It is done at each start, too.
A link that cannot come up, because keys or certificates do not fit, is shown as well.`),
		Example: "  tidemark bus apply --dry-run\n  tidemark bus apply",
		RunE: func(c *cobra.Command, _ []string) error {
			return a.with(c.Context(), func(ctx context.Context, cl *client.Client) error {
				ctx, cancel := context.WithTimeout(ctx, busTime)
				defer cancel()
				wrong, err := cl.ApplyBus(ctx, dryRun)
				if err != nil {
					return err
				}
				if out.text() && len(wrong) == 0 {
					fmt.Fprintln(a.out, "everything is as declared")
					return nil
				}
				return out.print(a.out, wrong, []string{"what", "name*", "was"}, func(add func(...any)) {
					for _, d := range wrong {
						add(d.What, plain(d.Name), plain(d.Text))
					}
				})
			})
		},
	}
	c.Flags().BoolVar(&dryRun, "dry-run", false, "show the differences and change nothing")
	out.register(c)
	return c
}
