package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/contract/event"
)

func (a *app) cmdEvents() *cobra.Command {
	var follow bool
	var since string
	out := asTable
	c := &cobra.Command{
		Use:   "events [FILTER]",
		Short: "Show events of this site and of the sites it is linked with",
		Long: long(`Show stored events (of the last week) of this site and, as far as they have arrived,
of the sites it is linked with, in the order of their times. FILTER is AREA, AREA.FACT
or AREA.FACT.JOB; * matches any. Events about a site or its vCenter have the site's name in place of JOB.
Areas: capture, command, failover, job, journal, plan, rpo, site, vcenter.`),
		Example: `  tidemark events --since 10m
  tidemark events failover --follow
  tidemark events '*.*.web' -o json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if out != asTable && out != asJSON && out != asYAML {
				return usage("use -o table, json or yaml")
			}
			f, err := eventFilter(args)
			if err != nil {
				return err
			}
			from, err := parseTime(since, a.clock().Now())
			if err != nil {
				return err
			}
			return a.with(c.Context(), func(ctx context.Context, cl *client.Client) error {
				return cl.Events(ctx, f, from, follow, func(e client.SeenEvent) error { return a.event(e, out) })
			})
		},
	}
	c.Flags().BoolVarP(&follow, "follow", "F", false, "keep printing new events until ctrl-c")
	c.Flags().StringVar(&since, "since", "1h", "how far to go back: 15m, or a time in RFC 3339")
	c.Flags().VarP(&out, "output", "o", "table, json (one object a line) or yaml (one document each)")
	completeWords(c, "output", string(asTable), string(asJSON), string(asYAML))
	return c
}

// eventFilter reads a pattern. What can match nothing is refused: nobody should wait for
// an event that does not exist.
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
	areas, facts := []string{}, []string{}
	for _, p := range event.Catalog() {
		name, ok := strings.CutPrefix(p.EventType(), "tidemark.evt.v1.")
		if area, fact, _ := strings.Cut(name, "."); ok {
			areas = append(areas, area)
			if f.Area == "" || f.Area == area {
				facts = append(facts, fact)
			}
		}
	}
	slices.Sort(areas)
	slices.Sort(facts)
	switch {
	case f.Area != "" && !slices.Contains(areas, f.Area):
		return f, usage("%q: there is no area %q: use %s, or * for any", args[0], f.Area, strings.Join(slices.Compact(areas), ", "))
	case f.Fact != "" && !slices.Contains(facts, f.Fact):
		return f, usage("%q: there is no fact %q here: use %s, or * for any", args[0], f.Fact, strings.Join(slices.Compact(facts), ", "))
	case f.ID != "" && strings.ContainsAny(f.ID, "*> "):
		return f, usage("%q: %q is no name: give a job's whole name, or * for any", args[0], f.ID)
	}
	return f, nil
}

func (a *app) event(e client.SeenEvent, out format) error {
	if out != asTable {
		data, err := event.EncodeStructured(e.Event)
		if err == nil && out == asYAML {
			data, err = yaml.JSONToYAML(data)
			data = append([]byte("---\n"), bytes.TrimRight(data, "\n")...)
		}
		if err == nil {
			_, err = fmt.Fprintf(a.out, "%s\n", data)
		}
		return err
	}
	name := strings.TrimPrefix(e.Type, "tidemark.evt.v1.")
	_, err := fmt.Fprintf(a.out, "%s  %-6s %-24s %-16s %s\n", clockText(e.Time), e.Site, name, e.Subject, plain(gist(e.Event)))
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
		return fmt.Sprintf("%s of %s", bytesText(p.Done), bytesText(p.Total))
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
	text := func(s float64) string { return round(time.Duration(s * float64(time.Second))) }
	return fmt.Sprintf("%s +- %s, objective %s", text(p.Seconds), text(p.Bound), text(p.Objective))
}
