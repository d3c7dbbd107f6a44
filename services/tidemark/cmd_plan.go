package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/plan"
)

// orderedWithin is how long the orchestrator may take to begin a run, or to do what
// is asked of one. Another one may have to wait for the lease first.
const orderedWithin = time.Minute

func (a *app) cmdPlan() *cobra.Command {
	return group("plan", "Apply, test and run site recovery jobs (plans)", `  tidemark plan apply -f shop-dr.yaml
  tidemark plan check shop-dr
  tidemark plan test shop-dr --follow
  tidemark plan run shop-dr --follow`,
		a.cmdPlanApply(), a.cmdPlanList(), a.cmdPlanCheck(), a.cmdPlanDiff(), a.cmdPlanGraph(),
		a.cmdPlanRun("run", recovery.Production, "Run a plan in production"),
		a.cmdPlanRun("test", recovery.Test, "Test a plan: production is not touched, and everything is cleaned up"),
		a.cmdPlanStatus(),
		a.planAsk("cancel PLAN", "Cancel a run: nothing more begins; a test is cleaned up"),
		a.planAsk("pause PLAN", "Pause a run: what is in progress continues, and nothing more begins"),
		a.planAsk("resume PLAN", "Continue a run that was paused"),
		a.planAsk("skip PLAN ACTION", "Skip an action, or give it up while it is in progress"),
		a.planAsk("retry PLAN ACTION", "Try an action that failed again, and go on; after a test, its clean-up"),
		a.planAsk("approve PLAN ACTION", "Answer an action that asks a person: go on, or with --refuse do not"),
		a.cmdPlanTrigger(), a.cmdPlanHistory(), a.cmdPlanReport(), a.cmdPlanDelete())
}

func (a *app) cmdPlanApply() *cobra.Command {
	c := a.cmdApply()
	c.Short, c.Example = "Create or change plans from YAML files", "  tidemark plan apply -f shop-dr.yaml"
	c.Long = long("The same as tidemark apply. What the static check finds is a warning: a plan may be\napplied before its jobs are.")
	return c
}

func (a *app) cmdPlanCheck() *cobra.Command {
	var file string
	var out format
	c := &cobra.Command{
		Use: "check [PLAN]", Short: "Find what is wrong with a plan before it runs", Args: cobra.MaximumNArgs(1), ValidArgsFunction: a.complete(planNames),
		Long:    long("Compare a plan, or with -f a file, with the jobs, recovery points and scripts of its\nsite. With an error the plan cannot do its work as it is. A warning says what to know."),
		Example: "  tidemark plan check shop-dr\n  tidemark plan check -f shop-dr.yaml",
		RunE: func(c *cobra.Command, args []string) error {
			r := api.PlanRequest{}
			switch {
			case (len(args) == 0) == (file == ""):
				return usage("give either a plan or -f FILE")
			case file == "":
				r.Plan = args[0]
			default:
				o, err := a.onePlan(file)
				if err != nil {
					return err
				}
				if r.Document, err = spec.Document(o); err != nil {
					return err
				}
			}
			return a.with(c.Context(), func(ctx context.Context, cl *client.Client) error { return a.checkPlan(ctx, cl, r, out) })
		},
	}
	c.Flags().StringVarP(&file, "filename", "f", "", "a file with one plan, or - for standard input")
	out.register(c)
	return c
}

// onePlan reads a file with one plan.
func (a *app) onePlan(file string) (spec.Object, error) {
	objects, err := a.read([]string{file})
	if err != nil {
		return spec.Object{}, err
	}
	if len(objects) != 1 || objects[0].Plan == nil {
		return spec.Object{}, cdp.Errorf(cdp.Invalid, "read spec", file, "want one document of kind %s", spec.KindPlan)
	}
	return objects[0], nil
}

func (a *app) checkPlan(ctx context.Context, c *client.Client, r api.PlanRequest, out format) error {
	reply, err := c.CheckPlan(ctx, r)
	if err != nil {
		return err
	}
	bad := 0
	for _, f := range reply.Findings {
		if f.Error {
			bad++
		}
	}
	err = out.facts(a.out, reply, reply.Plan, func() error {
		for _, f := range reply.Findings {
			fmt.Fprintln(a.out, foundText(f))
		}
		if len(reply.Findings) == 0 {
			fmt.Fprintf(a.out, "%s: nothing found\n", reply.Plan)
		}
		return nil
	})
	if err == nil && bad > 0 {
		err = cdp.Errorf(cdp.Conflict, "check plan", reply.Plan, "%s", count(bad, "error"))
	}
	return err
}

func (a *app) cmdPlanRun(use string, mode recovery.Mode, short string) *cobra.Command {
	var id string
	var follow, dry bool
	var out format
	var timeout time.Duration
	c := &cobra.Command{
		Use: use + " PLAN", Short: short, Args: cobra.ExactArgs(1), ValidArgsFunction: a.complete(planNames),
		Long:    long(short + ".\nThe command returns when the run has begun; with --follow it shows each action and\nwaits for the end. The run goes on by itself either way. With --dry-run nothing is done:\nit shows what would be done now, in order, and how long that took in earlier runs."),
		Example: "  tidemark plan " + use + " shop-dr --follow",
		RunE: func(c *cobra.Command, args []string) error {
			r := event.PlanRun{Plan: args[0], Run: id, Mode: mode}
			if r.Run == "" {
				r.Run = shortID(string(mode)[:1])
			}
			return a.with(c.Context(), func(ctx context.Context, cl *client.Client) error {
				if dry {
					return a.dryRunPlan(ctx, cl, r.Plan, mode, out)
				}
				sctx, cancel := context.WithTimeout(ctx, orderedWithin)
				defer cancel()
				if err := cl.RunPlan(sctx, r); err != nil {
					return err
				}
				if !follow {
					return out.facts(a.out, r, r.Run, func() error {
						fmt.Fprintf(a.out, "the run %s has begun; see: tidemark plan status %s\n", r.Run, r.Plan)
						return nil
					})
				}
				fctx, end := context.WithTimeout(ctx, timeout)
				defer end()
				return a.followPlan(fctx, cl, r.Plan, r.Run, out)
			})
		},
	}
	c.Flags().StringVar(&id, "run", "", "a name for the run; starting it again under the same name is the same run")
	c.Flags().BoolVar(&dry, "dry-run", false, "show what would be done now, and do nothing")
	c.Flags().BoolVar(&follow, "follow", false, "show each action, and wait for the end")
	c.Flags().DurationVar(&timeout, "timeout", 24*time.Hour, "how long to follow")
	out.register(c)
	return c
}

// planAsk is a command that asks something of a plan's run.
func (a *app) planAsk(use, short string) *cobra.Command {
	var refuse bool
	var run string
	var out format
	names := []lister{planNames, actionNames}
	args := cobra.ExactArgs(2)
	if !hasAction(use) {
		names, args = names[:1], cobra.ExactArgs(1)
	}
	verb, example, _ := cutWord(use)
	c := &cobra.Command{
		Use: use, Short: short, Long: long(short + "."), Args: args, ValidArgsFunction: a.complete(names...), Example: "  tidemark plan " + verb + " " + example,
		RunE: func(c *cobra.Command, args []string) error {
			r := event.PlanControl{Plan: args[0], Run: run, Do: verb}
			if len(args) > 1 {
				r.Action = args[1]
			}
			if refuse {
				r.Do = string(plan.Refuse)
			}
			return a.with(c.Context(), func(ctx context.Context, cl *client.Client) error {
				ctx, cancel := context.WithTimeout(ctx, orderedWithin)
				defer cancel()
				x, err := cl.ControlPlan(ctx, r)
				if cdp.Is(err, cdp.Duplicate) {
					err = nil
				}
				if err != nil {
					return err
				}
				return out.facts(a.out, x, x.ID, func() error {
					fmt.Fprintf(a.out, "%s: the run %s is %s\n", r.Plan, x.ID, x.Phase)
					return nil
				})
			})
		},
	}
	c.Flags().StringVar(&run, "run", "", "which run (default: the current one)")
	if verb == string(plan.Approve) {
		c.Flags().BoolVar(&refuse, "refuse", false, "do not go on")
	}
	out.register(c)
	return c
}

func (a *app) cmdPlanDelete() *cobra.Command {
	return &cobra.Command{
		Use: "delete PLAN", Short: "Delete a plan that does not run, and its history", Args: cobra.ExactArgs(1), ValidArgsFunction: a.complete(planNames),
		Long: long("Delete a plan that does not run, and its history."), Example: "  tidemark plan delete shop-dr",
		RunE: func(c *cobra.Command, args []string) error {
			return a.with(c.Context(), func(ctx context.Context, cl *client.Client) error {
				err := cl.DeletePlan(ctx, args[0])
				if err == nil {
					fmt.Fprintf(a.out, "%s deleted\n", args[0])
				}
				return err
			})
		},
	}
}
