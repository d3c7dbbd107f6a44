package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/core/health"
)

func (a *app) cmdClock() *cobra.Command {
	var out format
	c := &cobra.Command{
		Use: "clock", Short: "Show the clock offsets of hosts and services", Args: cobra.NoArgs,
		Long: long(`Measure the clocks of the services and hosts of this site, and of the sites it is
linked with, against the clock of this site's services, which dates recovery points.
An offset is an interval: the clock is ahead by at least the first and at most the
second value. Recovery points are right whatever the clocks show; their times are
corrected, with an error bound. Clocks that are off by more than 1 s, have no NTP
server or could not be measured are marked. Only the transporter that a site's
services run on is measured, not others that were deployed.`),
		Example: "  tidemark clock\n  tidemark clock -o json",
		RunE: func(c *cobra.Command, _ []string) error {
			return a.with(c.Context(), func(ctx context.Context, cl *client.Client) error {
				all, silent, err := cl.Clocks(ctx)
				if err != nil {
					return err
				}
				if !out.text() {
					return out.print(a.out, all, []string{"name"}, func(add func(...any)) {
						for _, r := range all {
							add(r.Name)
						}
					})
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
	fmt.Fprintf(a.out, "offsets against the clock of the services at site %s\n\n", c.Site())
	red := func(s string) painted { return paint(a.out, health.NotProtected, s) }
	err := asTable.print(a.out, nil, []string{"", "site", "clock", "offset", "ntp", "note"}, func(add func(...any)) {
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
			text := strings.Join(r.Notes, "; ")
			mark, notes := painted(""), painted(plain(text))
			if text != "" && !r.ByJournal || r.Error != "" {
				mark, notes = red("!"), red(text)
			}
			add(mark, r.Site, r.Name, offset, strings.Join(r.NTP, " "), notes)
		}
	})
	for _, s := range silent {
		fmt.Fprintf(a.out, "\n%s\n", silence(s.Site, s.Err))
	}
	return err
}
