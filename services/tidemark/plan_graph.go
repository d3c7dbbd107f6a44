package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/plan"
)

func (a *app) cmdPlanGraph() *cobra.Command {
	var file string
	var svg bool
	c := &cobra.Command{
		Use: "graph [PLAN]", Short: "Draw a plan: what begins when, and what waits for what", Args: cobra.MaximumNArgs(1), ValidArgsFunction: a.complete(planNames),
		Long:    long("Draw a plan, or with -f a file: its actions by the step in which each can begin at the\nearliest, with what each waits for. With --svg it is a picture."),
		Example: "  tidemark plan graph shop-dr\n  tidemark plan graph -f shop-dr.yaml --svg > shop-dr.svg",
		RunE: func(c *cobra.Command, args []string) error {
			draw := func(p spec.Plan) error {
				text := plan.Graph(p)
				if svg {
					text = plan.SVG(p)
				}
				_, err := io.WriteString(a.out, text)
				return err
			}
			if (len(args) == 0) == (file == "") {
				return usage("give either a plan or -f FILE")
			}
			if file != "" {
				o, err := a.onePlan(file)
				if err != nil {
					return err
				}
				return draw(*o.Plan)
			}
			return a.with(c.Context(), func(ctx context.Context, cl *client.Client) error {
				p, err := cl.Plan(ctx, args[0])
				if err != nil {
					return err
				}
				return draw(p)
			})
		},
	}
	c.Flags().StringVarP(&file, "filename", "f", "", "a file with one plan, or - for standard input")
	c.Flags().BoolVar(&svg, "svg", false, "draw a picture, as SVG")
	return c
}
