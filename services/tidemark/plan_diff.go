package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/plan"
)

func (a *app) cmdPlanDiff() *cobra.Command {
	var file string
	var out format
	c := &cobra.Command{
		Use: "diff -f FILE", Short: "Show what applying a file would change of a plan", Args: cobra.NoArgs,
		Long:    long("Compare a file with the plan of its name at the site: what is new (+), what is gone (-)\nand which fields have other values (~). Nothing is changed. A run that has begun goes on with\nthe plan as it was."),
		Example: "  tidemark plan diff -f shop-dr.yaml",
		RunE: func(c *cobra.Command, _ []string) error {
			if file == "" {
				return usage("give -f FILE")
			}
			o, err := a.onePlan(file)
			if err != nil {
				return err
			}
			return a.with(c.Context(), func(ctx context.Context, cl *client.Client) error { return a.diffPlan(ctx, cl, *o.Plan, out) })
		},
	}
	c.Flags().StringVarP(&file, "filename", "f", "", "a file with one plan, or - for standard input")
	out.register(c)
	return c
}

func (a *app) diffPlan(ctx context.Context, cl *client.Client, is spec.Plan, out format) error {
	was, err := cl.Plan(ctx, is.Name)
	if err != nil && !cdp.Is(err, cdp.NotFound) {
		return err
	}
	changes := plan.Diff(was, is)
	return out.facts(a.out, changes, is.Name, func() error {
		if was.Name == "" {
			fmt.Fprintf(a.out, "%s is new\n", is.Name)
		}
		if len(changes) == 0 {
			fmt.Fprintf(a.out, "%s: nothing would change\n", is.Name)
		}
		for _, x := range changes {
			fmt.Fprintln(a.out, plain(x.String()))
		}
		return nil
	})
}
