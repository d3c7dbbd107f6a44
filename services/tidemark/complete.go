package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/contract/spec"
)

// completeTime is how long a completion may take: a shell waits for it.
const completeTime = 2 * time.Second

// lister gives the names that an argument may have, given the arguments before it.
type lister func(ctx context.Context, c *client.Client, before []string) []string

// completer is what cobra asks for names.
type completer = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective)

// complete completes arguments: the first with the first list, and so on. A list that
// is nil has no names. What does not answer gives none.
func (a *app) complete(lists ...lister) completer {
	return func(_ *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		if len(args) >= len(lists) || lists[len(args)] == nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return a.names(lists[len(args)], args, begun), cobra.ShellCompDirectiveNoFileComp
	}
}

// completeFlag completes a flag whose names depend on the arguments.
func (a *app) completeFlag(c *cobra.Command, flag string, list lister) {
	_ = c.RegisterFlagCompletionFunc(flag, func(_ *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		return a.names(list, args, begun), cobra.ShellCompDirectiveNoFileComp
	})
}

// names asks for the names of a list that begin as what was typed.
func (a *app) names(list lister, args []string, begun string) []string {
	ctx, cancel := context.WithTimeout(context.Background(), completeTime)
	defer cancel()
	a.conn.wait = min(a.conn.wait, completeTime)
	var all []string
	err := a.with(ctx, func(ctx context.Context, c *client.Client) error { all = list(ctx, c, args); return nil })
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(all, func(n string) bool { return !strings.HasPrefix(n, begun) })
}

// jobNames are those of all jobs: of disks, of VMs, and of single VMs.
func jobNames(ctx context.Context, c *client.Client, _ []string) (out []string) {
	jobs, _ := c.Jobs(ctx)
	for _, j := range jobs {
		out = append(out, j.Name)
	}
	vms, _ := c.VMJobs(ctx)
	for _, j := range vms {
		out = append(out, j.Name)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// siteNamesOf are those of the sites that were described, and of those it is linked
// with.
func siteNamesOf(ctx context.Context, c *client.Client, _ []string) []string {
	out := []string{string(c.Site())}
	for _, p := range c.Peers() {
		out = append(out, string(p))
	}
	sites, _ := c.Sites(ctx)
	for _, s := range sites {
		out = append(out, string(s.Name))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// pointNames are the points of the job before them, the newest first: tags, then ids.
func pointNames(ctx context.Context, c *client.Client, before []string) []string {
	if len(before) == 0 {
		return nil
	}
	points, _ := c.Points(ctx, before[0])
	tags, ids := []string{cdp.Latest, cdp.LastWrite, cdp.Proven}, []string{}
	for _, p := range slices.Backward(points) {
		tags, ids = append(tags, p.Tags...), append(ids, p.ID())
	}
	return append(tags, ids...)
}

// planNames are those of the site recovery jobs.
func planNames(ctx context.Context, c *client.Client, _ []string) (out []string) {
	plans, _ := c.Plans(ctx)
	for _, p := range plans {
		out = append(out, p.Name)
	}
	return out
}

// actionNames are the actions of the plan before them.
func actionNames(ctx context.Context, c *client.Client, before []string) (out []string) {
	run, _ := c.PlanRun(ctx, before[0])
	if run == nil {
		return nil
	}
	for _, rec := range run.Actions {
		out = append(out, rec.Name)
	}
	return out
}

// exportNames are the open exports of the job before them.
func exportNames(ctx context.Context, c *client.Client, before []string) (out []string) {
	all, _ := c.Exports(ctx, before[0])
	for _, x := range all {
		out = append(out, x.ID)
	}
	return out
}

// kinds are the kinds of documents.
func kinds(context.Context, *client.Client, []string) []string {
	return []string{"job", "site", "plan"}
}

// ofKind are the names of a kind.
func ofKind(ctx context.Context, c *client.Client, before []string) []string {
	switch kind, _, _ := kindAndName(before); kind {
	case spec.KindSite:
		return siteNamesOf(ctx, c, nil)
	case spec.KindPlan:
		return planNames(ctx, c, nil)
	}
	return jobNames(ctx, c, nil)
}

// completeWords completes a flag with fixed words.
func completeWords(c *cobra.Command, flag string, words ...string) {
	_ = c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
}
