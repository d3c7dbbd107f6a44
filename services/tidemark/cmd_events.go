package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/contract/event"
)

func (a *app) cmdEvents() *cobra.Command {
	var follow bool
	var since time.Duration
	var out string
	c := &cobra.Command{
		Use:   "events [FILTER]",
		Short: "Show events of this site and of the sites it is linked with",
		Long: long(`Show stored events (of the last week) of this site and, as far as they have arrived,
of the sites it is linked with. FILTER is AREA, AREA.FACT or AREA.FACT.JOB; * matches
any. Events about a site or its vCenter have the site's name in place of JOB.
Areas: capture, command, failover, job, journal, rpo, site, vcenter.`),
		Example: `  tidemark events --since 10m
  tidemark events failover --follow
  tidemark events '*.*.web' -o json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if out != "table" && out != "json" {
				return usage("use table or json")
			}
			f, err := eventFilter(args)
			if err != nil {
				return err
			}
			return a.with(c.Context(), func(ctx context.Context, cl *client.Client) error {
				return cl.Events(ctx, f, a.clock().Now().Add(-since), follow, func(e client.SeenEvent) error { return a.event(e, out == "json") })
			})
		},
	}
	c.Flags().BoolVarP(&follow, "follow", "F", false, "keep printing new events until ctrl-c")
	c.Flags().DurationVar(&since, "since", time.Hour, "how far to go back")
	c.Flags().StringVarP(&out, "output", "o", "table", "table, or json: one object per line")
	return c
}

func eventFilter(args []string) (f client.EventFilter, err error) {
	if len(args) == 0 {
		return f, nil
	}
	parts := strings.Split(args[0], ".")
	if len(parts) > 3 {
		return f, usage("%q: use AREA, AREA.FACT or AREA.FACT.JOB", args[0])
	}
	for i, to := range []*string{&f.Area, &f.Fact, &f.ID}[:len(parts)] {
		if parts[i] != "*" {
			*to = parts[i]
		}
	}
	return f, nil
}

func (a *app) event(e client.SeenEvent, asJSON bool) error {
	if asJSON {
		data, err := event.EncodeStructured(e.Event)
		if err == nil {
			_, err = fmt.Fprintf(a.out, "%s\n", data)
		}
		return err
	}
	name := strings.TrimPrefix(e.Type, "tidemark.evt.v1.")
	_, err := fmt.Fprintf(a.out, "%s  %-6s %-24s %-16s %s\n", clockText(e.Time), e.Site, name, e.Subject, gist(e.Event))
	return err
}

// gist is the essence of an event in a few words.
func gist(e event.Event) string {
	p, err := e.Typed()
	if err != nil {
		return string(e.Data)
	}
	switch p := p.(type) {
	case *event.PointCreated:
		return fmt.Sprintf("%s write %d", p.Point.ID(), p.Point.Seq)
	case *event.PointChanged:
		return p.Point.ID() + " " + string(p.Change)
	case *event.CaptureStateChanged:
		return string(p.State) + because(p.Reason)
	case *event.CaptureProgress:
		return fmt.Sprintf("%d of %d bytes", p.Done, p.Total)
	case *event.JournalStateChanged:
		return string(p.State) + because(p.Reason)
	case *event.JournalAlarm:
		return p.Text
	case *event.HorizonMoved:
		return p.Reason
	case *event.CaptureAlarm:
		return p.Kind + because(p.Text)
	case *event.VCenterAlarm:
		return p.Kind + " " + p.Subject + because(p.Text)
	case *event.VCenterMemberChanged:
		return p.VM + " " + string(p.State) + because(p.Text)
	case *event.VCenterTransporterChanged:
		return p.Name + " " + string(p.State) + because(p.Text)
	case *event.VCenterFilterChanged:
		return p.Filter + " at " + p.Cluster + " " + string(p.State) + because(p.Text)
	case *event.RPOMeasured:
		return rpoGist(*p)
	case *event.RPOBreached:
		return rpoGist(event.RPOMeasured(*p))
	case *event.RPORestored:
		return rpoGist(event.RPOMeasured(*p))
	case *event.FailoverStep:
		return fmt.Sprintf("%s %s%s", p.Step, p.State, because(p.Text))
	case *event.FailoverFinished:
		return string(p.State) + because(p.Result)
	case *event.JobAlarm:
		return p.Kind + because(p.Text)
	case *event.JobStarted:
		return p.Reason
	case *event.JobStopped:
		return p.Reason
	case *event.CommandRefused:
		return strings.TrimPrefix(p.Command, "tidemark.cmd.v1.") + because(p.Reason)
	}
	var compact map[string]any
	if json.Unmarshal(e.Data, &compact) == nil {
		data, _ := json.Marshal(compact)
		return string(data)
	}
	return string(e.Data)
}

func rpoGist(p event.RPOMeasured) string {
	return fmt.Sprintf("%.1fs +- %.3fs, objective %gs", p.Seconds, p.Bound, p.Objective)
}
