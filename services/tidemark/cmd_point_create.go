package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/client"
)

func (a *app) cmdPointCreate() *cobra.Command {
	var tags []string
	var pin bool
	var w waitFlags
	var out format
	c := &cobra.Command{
		Use: "create JOB", Short: "Make a recovery point now", Args: cobra.ExactArgs(1), ValidArgsFunction: a.complete(jobNames),
		Long:    long("Ask the source site for a recovery point, and wait until it is durable at the\ntarget. The point holds every write that was answered before the command; if it\nis not durable in time, the command fails, and no other point gets the tags.\nThe source site must be reachable.\n\nA tag is " + cdp.TagRule + "."),
		Example: "  tidemark point create web --tag before-upgrade --pin",
		RunE: func(c *cobra.Command, args []string) error {
			return a.with(c.Context(), func(ctx context.Context, cl *client.Client) error {
				ctx, cancel := w.bound(ctx)
				defer cancel()
				p, err := cl.CreatePoint(ctx, args[0], client.NewPoint{Tags: tags, Pinned: pin, NoWait: w.no})
				switch {
				case err != nil:
					return cdp.Wrap(err, "create point of", args[0])
				case w.no:
					fmt.Fprintf(a.out, "asked for a point of %s\n", args[0])
				default:
					return out.facts(a.out, p, p.ID(), func() error {
						fmt.Fprintf(a.out, "%s of %s, %s\n", p.ID(), clockText(p.Time), boundText(p.Bound))
						return nil
					})
				}
				return nil
			})
		},
	}
	c.Flags().StringArrayVar(&tags, "tag", nil, "a tag for the point; can be repeated")
	c.Flags().BoolVar(&pin, "pin", false, "keep the point beyond the history limit")
	w.register(c, 30*time.Second)
	out.register(c)
	return c
}
