package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/plan"
)

// checkedPlan is a plan with its state, as data.
type checkedPlan struct {
	spec.Plan
	client.PlanState
}

func (a *app) cmdPlanList() *cobra.Command {
	var out format
	c := &cobra.Command{
		Use: "list", Short: "List the plans, with their states and last runs", Args: cobra.NoArgs,
		Long: long("List the plans of the site, what their last checks and runs came to, and which of their\ntriggers hold, ask or have fired. A plan is verified, failed its last check, or needs\nverification: it or one of its jobs has changed, or could not be checked for an hour."), Example: "  tidemark plan list",
		RunE: func(c *cobra.Command, _ []string) error {
			return a.with(c.Context(), func(ctx context.Context, cl *client.Client) error { return a.listPlans(ctx, cl, out) })
		},
	}
	out.register(c)
	return c
}

func (a *app) listPlans(ctx context.Context, cl *client.Client, out format) error {
	plans, err := cl.Plans(ctx)
	if err != nil {
		return err
	}
	runs, err := cl.PlanRuns(ctx)
	if err != nil {
		return err
	}
	states, err := cl.PlanStates(ctx, plans)
	if err != nil {
		return err
	}
	stirred, all := map[string]string{}, []checkedPlan{}
	for _, p := range plans {
		if stirred[p.Name], err = stirredTriggers(ctx, cl, p); err != nil {
			return err
		}
		all = append(all, checkedPlan{p, states[p.Name]})
	}
	return out.print(a.out, all, []string{"plan", "actions", "check", "last run", "mode", "state", "began", "triggers"}, func(add func(...any)) {
		for _, p := range plans {
			check := stateText(states[p.Name])
			if r := runs[p.Name]; r != nil {
				add(p.Name, len(p.Actions), check, r.ID, r.Mode, r.Phase, clockText(r.StartedAt), stirred[p.Name])
			} else {
				add(p.Name, len(p.Actions), check, "never", "", "", "", stirred[p.Name])
			}
		}
	})
}

// stateText is the state of a plan in a few words.
func stateText(x client.PlanState) string {
	bad := 0
	for _, f := range x.Findings {
		if f.Error {
			bad++
		}
	}
	text := string(x.State)
	switch {
	case x.State == plan.NotFit:
		text += ", " + count(bad, "error")
	case x.State == plan.Verified && len(x.Findings) > 0:
		text += ", " + count(len(x.Findings), "warning")
	}
	return text
}

// describeState prints the state of a plan and what its last check found.
func (a *app) describeState(x client.PlanState) {
	text := stateText(x)
	if !x.CheckedAt.IsZero() {
		text += ", checked " + clockText(x.CheckedAt)
	}
	fmt.Fprintf(a.out, "%-10s %s\n", "check", text)
	if x.Trouble != "" && x.State == plan.NeedsVerification {
		fmt.Fprintf(a.out, "%-10s cannot be checked: %s\n", "", plain(x.Trouble))
	}
	for _, f := range x.Findings {
		fmt.Fprintf(a.out, "%-10s %s\n", "", plain(foundText(f)))
	}
}

// foundText is a finding in one line, with the time since when it is known.
func foundText(f api.PlanFinding) string {
	if f.Since.IsZero() {
		return f.String()
	}
	return f.String() + " (since " + clockText(f.Since) + ")"
}
