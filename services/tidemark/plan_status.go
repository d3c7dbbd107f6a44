package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/plan"
)

// hasAction reports whether a command names an action beside the plan.
func hasAction(use string) bool { return strings.HasSuffix(use, " ACTION") }

// cutWord cuts the verb from a command's use, and makes an example of the rest.
func cutWord(use string) (verb, example string, found bool) {
	verb, rest, found := strings.Cut(use, " ")
	return verb, strings.NewReplacer("PLAN", "shop-dr", "ACTION", "db").Replace(rest), found
}

// shownRun is the last run of a plan with the plan's state, as data.
type shownRun struct {
	plan.Run
	Check client.PlanState `json:"check"`
}

func (a *app) cmdPlanStatus() *cobra.Command {
	var out format
	var follow bool
	c := &cobra.Command{
		Use: "status PLAN", Short: "Show the state of a plan, and its last run, action by action", Args: cobra.ExactArgs(1), ValidArgsFunction: a.complete(planNames),
		Long: long("Show whether a plan is verified and what its last check found, its last run, and the\nstate of each of its actions. With --follow, show each change until the run is over."), Example: "  tidemark plan status shop-dr\n  tidemark plan status shop-dr --follow",
		RunE: func(c *cobra.Command, args []string) error {
			return a.with(c.Context(), func(ctx context.Context, cl *client.Client) error { return a.planStatus(ctx, cl, args[0], follow, out) })
		},
	}
	c.Flags().BoolVar(&follow, "follow", false, "show each change, and wait for the end")
	out.register(c)
	return c
}

func (a *app) planStatus(ctx context.Context, cl *client.Client, name string, follow bool, out format) error {
	var states map[string]client.PlanState
	p, err := cl.Plan(ctx, name)
	if err == nil {
		states, err = cl.PlanStates(ctx, []spec.Plan{p})
	}
	if err != nil && !cdp.Is(err, cdp.NotFound) { // a run is shown although its plan cannot be read
		return err
	}
	if x, known := states[name]; known && out.text() {
		a.describeState(x)
	}
	r, err := lastRunOf(ctx, cl, name)
	switch {
	case err != nil:
		return err
	case follow:
		return a.followPlan(ctx, cl, r.Plan, r.ID, out)
	}
	return out.facts(a.out, shownRun{r, states[name]}, r.ID, func() error { return a.describeRun(r, out) })
}

// lastRunOf is the last run of a plan; NotFound if it never ran.
func lastRunOf(ctx context.Context, c *client.Client, name string) (plan.Run, error) {
	r, err := c.PlanRun(ctx, name)
	if err == nil && r == nil {
		err = cdp.Errorf(cdp.NotFound, "show run", name, "no plan of this name was ever run").WithHint("list the plans: tidemark plan list")
	}
	if err != nil {
		return plan.Run{}, err
	}
	return *r, nil
}

// followPlan shows the actions of a run as they change, until it is over.
func (a *app) followPlan(ctx context.Context, c *client.Client, name, run string, out format) error {
	told := map[string]string{}
	last, err := c.FollowPlan(ctx, name, run, func(r plan.Run) { a.showChanges(r, told) })
	if err != nil {
		return err
	}
	if err := out.facts(a.out, last, last.ID, func() error { return a.describeRun(last, out) }); err != nil {
		return err
	}
	if last.Phase != plan.Succeeded {
		return cdp.Errorf(cdp.Conflict, "run plan", name, "the run %s %s", last.ID, map[plan.Phase]string{plan.Failed: "failed", plan.Cancelled: "was cancelled"}[last.Phase]).
			WithHint(last.NextText())
	}
	return nil
}

// showChanges prints a line for each action, and each clean-up, whose state was not
// told yet.
func (a *app) showChanges(r plan.Run, told map[string]string) {
	show := func(key, name string, st plan.Status, text string) {
		if st != plan.Pending && told[key] != string(st) {
			fmt.Fprintf(a.err, "  %-16s %-9s %s\n", name, st, plain(text))
		}
		told[key] = string(st)
	}
	for _, rec := range r.Actions {
		show(rec.Name, rec.Name, rec.Status, rec.Text)
		if rec.Clean != nil {
			show(rec.Name+" clean", "clean up "+rec.Name, rec.Clean.Status, rec.Clean.Text)
		}
	}
}

// describeRun prints a run and its actions.
func (a *app) describeRun(r plan.Run, out format) error {
	say := func(what, format string, args ...any) {
		fmt.Fprintf(a.out, "%-10s %s\n", what, fmt.Sprintf(format, args...))
	}
	say("run", "%s (%s of %s)", r.ID, r.Mode, r.Plan)
	say("state", "%s", r.Phase)
	say("asked by", "%s", cmp.Or(r.By, "unknown"))
	say("began", "%s", clockText(r.StartedAt))
	say("took", "%s", tookText(r, a.clock().Now()))
	if next := r.NextText(); next != "" {
		say("next", "%s", next)
	}
	fmt.Fprintln(a.out)
	return out.print(a.out, nil, []string{"action", "what", "state", "took", ""}, func(add func(...any)) {
		for _, rec := range r.Actions {
			add(rec.Name, strings.TrimSpace(rec.Verb+" "+r.Action(rec.Name).Job()), rec.Status, actionTook(rec), rec.Text)
			if rec.Clean != nil {
				add("", "clean up", rec.Clean.Status, "", rec.Clean.Text)
			}
		}
	})
}

// tookText is how long a run took, against its objective if it has one.
func tookText(r plan.Run, now time.Time) string {
	took := r.Took(now)
	text := round(took)
	if goal := r.Spec.Objective.Std(); goal > 0 {
		verdict := "within"
		if took > goal {
			verdict = "longer than"
		}
		text += fmt.Sprintf(", %s the objective of %s", verdict, r.Spec.Objective)
	}
	return text
}

// actionTook is how long an action took; empty if it has not ended.
func actionTook(rec plan.Record) string {
	if rec.BegunAt.IsZero() || rec.EndedAt.IsZero() {
		return ""
	}
	return round(rec.EndedAt.Sub(rec.BegunAt))
}

func (a *app) cmdPlanHistory() *cobra.Command {
	var out format
	c := &cobra.Command{
		Use: "history PLAN", Short: "List the runs of a plan, the newest first", Args: cobra.ExactArgs(1), ValidArgsFunction: a.complete(planNames),
		Long: long("List the runs of a plan that are kept: the newest 50."), Example: "  tidemark plan history shop-dr",
		RunE: func(c *cobra.Command, args []string) error {
			return a.with(c.Context(), func(ctx context.Context, cl *client.Client) error {
				runs, err := cl.PlanHistory(ctx, args[0])
				if err != nil {
					return err
				}
				return out.print(a.out, runs, []string{"run", "mode", "state", "began", "took", "asked by"}, func(add func(...any)) {
					for _, r := range runs {
						add(r.ID, r.Mode, r.Phase, clockText(r.StartedAt), round(r.Took(a.clock().Now())), r.By)
					}
				})
			})
		},
	}
	out.register(c)
	return c
}
