package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/user"
	"strings"

	"github.com/spf13/cobra"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/trigger"
)

func (a *app) cmdPlanTrigger() *cobra.Command {
	return group("trigger", "See what may start a plan, and answer it", `  tidemark plan trigger list shop-dr
  tidemark plan trigger approve shop-dr prod-gone`,
		a.cmdTriggerList(),
		a.triggerAsk("approve", "Agree that a trigger that asks starts its plan",
			"A trigger may need several people. They are told apart by user and host, or by\n--as: it is a way of working, not a lock."),
		a.triggerAsk("refuse", "Refuse a trigger that asks: it asks again when its cause has ended and come back", ""),
		a.triggerAsk("raise", "Raise a signal: its trigger holds until it is cleared", ""),
		a.triggerAsk("clear", "Clear a signal", ""))
}

func (a *app) cmdTriggerList() *cobra.Command {
	var out format
	c := &cobra.Command{
		Use: "list PLAN", Short: "List the triggers of a plan, and what they see", Args: cobra.ExactArgs(1), ValidArgsFunction: a.complete(planNames),
		Long:    long("List the triggers of a plan: whether what they wait for holds, and what came of it."),
		Example: "  tidemark plan trigger list shop-dr",
		RunE: func(c *cobra.Command, args []string) error {
			return a.with(c.Context(), func(ctx context.Context, cl *client.Client) error {
				p, err := cl.Plan(ctx, args[0])
				if err != nil {
					return err
				}
				all, err := cl.Triggers(ctx, p)
				if err != nil {
					return err
				}
				return out.print(a.out, all, []string{"trigger", "state", "since", "mode", "start", "last run", ""}, func(add func(...any)) {
					for _, x := range all {
						since := ""
						if !x.Since.IsZero() {
							since = clockText(x.Since)
						}
						add(x.Trigger, cmp.Or(string(x.Phase), "not watched yet"), since, x.Of.Mode, x.Of.Start, x.Run, x.Text)
					}
				})
			})
		},
	}
	out.register(c)
	return c
}

// stirredTriggers are those of a plan that are not just armed, in words.
func stirredTriggers(ctx context.Context, c *client.Client, p spec.Plan) (string, error) {
	all, err := c.Triggers(ctx, p)
	var out []string
	for _, x := range all {
		if x.Phase != "" && x.Phase != trigger.Armed {
			out = append(out, x.Trigger+" is "+string(x.Phase))
		}
	}
	return strings.Join(out, ", "), err
}

// triggerAsk is a command that asks something of a trigger.
func (a *app) triggerAsk(verb, short, more string) *cobra.Command {
	var as string
	var out format
	if more != "" {
		more = "\n" + more
	}
	c := &cobra.Command{
		Use: verb + " PLAN TRIGGER", Short: short, Long: long(short + "." + more), Args: cobra.ExactArgs(2), ValidArgsFunction: a.complete(planNames, triggerNames),
		Example: "  tidemark plan trigger " + verb + " shop-dr prod-gone",
		RunE: func(c *cobra.Command, args []string) error {
			r := event.PlanTrigger{Plan: args[0], Trigger: args[1], Do: verb, By: cmp.Or(as, whoami())}
			return a.with(c.Context(), func(ctx context.Context, cl *client.Client) error {
				ctx, cancel := context.WithTimeout(ctx, orderedWithin)
				defer cancel()
				x, err := cl.AskTrigger(ctx, r)
				if err != nil && !cdp.Is(err, cdp.Duplicate) {
					return err
				}
				return out.facts(a.out, x, x.Trigger, func() error {
					fmt.Fprintf(a.out, "%s: the trigger %s is %s: %s\n", r.Plan, x.Trigger, x.Phase, plain(x.Text))
					return nil
				})
			})
		},
	}
	c.Flags().StringVar(&as, "as", "", "who you are (default: user@host)")
	out.register(c)
	return c
}

// whoami is the person at the command line, as far as the machine knows.
func whoami() string {
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	host, _ := os.Hostname()
	return name + "@" + cmp.Or(host, "unknown")
}

// triggerNames are the triggers of the plan before them.
func triggerNames(ctx context.Context, c *client.Client, before []string) (out []string) {
	p, _ := c.Plan(ctx, before[0])
	for _, t := range p.Triggers {
		out = append(out, t.Name)
	}
	return out
}
