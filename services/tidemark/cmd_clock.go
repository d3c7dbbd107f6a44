package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"tidemark.dev/pkg/client"
)

func (a *app) cmdClock() *cobra.Command {
	var out format
	c := &cobra.Command{
		Use: "clock", Short: "Show how far the clocks of hosts and services are off", Args: cobra.NoArgs,
		Long: long(`Measure the clocks of all hosts and of both sites' services (those of the transporter
they run on, not of others that were deployed), against the clock of the target's
services, by which recovery points are dated. An offset is an interval: the clock is
ahead by at least the first and at most the second. Recovery points are right
whatever the clocks say; their times are corrected, and carry the error. What is
beyond 1 s, has no NTP server, or could not be measured, is marked. A site that does
not answer is named.`),
		Example: "  tidemark clock\n  tidemark clock -o json",
		RunE: func(c *cobra.Command, _ []string) error {
			return a.with(c.Context(), func(ctx context.Context, cl *client.Client) error {
				all, silent, err := cl.Clocks(ctx)
				if err != nil {
					return err
				}
				if out != "table" {
					return out.print(a.out, all, nil, nil)
				}
				return a.showClocks(cl, all, silent)
			})
		},
	}
	out.register(c)
	return c
}

// offsetText is an offset for people: +1.20 ms … +3.40 ms ahead.
func offsetText(o client.Offset) string {
	unit, name, digits := time.Millisecond, "ms", 2
	if max(o.Min.Abs(), o.Max.Abs()) >= time.Second {
		unit, name, digits = time.Second, "s", 3
	}
	text := func(d time.Duration) string { return fmt.Sprintf("%+.*f %s", digits, float64(d)/float64(unit), name) }
	way := ""
	switch {
	case o.Min > 0:
		way = " ahead"
	case o.Max < 0:
		way = " behind"
	}
	return text(o.Min) + " … " + text(o.Max) + way
}

func (a *app) showClocks(c *client.Client, all []client.Clock, silent []client.SilentSite) error {
	fmt.Fprintf(a.out, "against the clock of the services at site %s\n\n", c.Site())
	red := func(s string) string { return s }
	if isTerminal(a.out) {
		red = func(s string) string { return "\x1b[1;31m" + s + "\x1b[0m" }
	}
	err := format("table").print(a.out, nil, []string{"", "site", "clock", "offset", "ntp", "note"}, func(add func(...any)) {
		for _, r := range all {
			offset := offsetText(r.Offset)
			switch {
			case r.Error != "":
				offset = "not measured: " + r.Error
			case r.Kind == client.ClockOfServices && r.Site == c.Site():
				offset = "0, by definition"
			case r.OfSite:
				offset += " of its site's services"
			}
			mark, notes := "", strings.Join(r.Notes, "; ")
			if notes != "" && !r.ByJournal || r.Error != "" {
				mark, notes = red("!"), red(notes)
			}
			add(mark, r.Site, r.Name, offset, strings.Join(r.NTP, " "), notes)
		}
	})
	for _, s := range silent {
		fmt.Fprintf(a.out, "\n%s\n", silence(s.Site, s.Err))
	}
	return err
}
