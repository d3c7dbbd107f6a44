package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/core/health"
)

func (a *app) cmdPoint() *cobra.Command {
	return group("point", "List, create, tag, pin and delete recovery points",
		"  tidemark point list web\n  tidemark point create web --tag before-upgrade\n  tidemark point pin web p123",
		a.cmdPointList(), a.cmdPointCreate(),
		a.pointEdit("tag JOB POINT TAG...", "Replace the tags of a recovery point; without a tag, remove them", "  tidemark point tag web p123 before-upgrade", 2, -1,
			func(r *api.EditPointRequest, tags []string) { r.Tags = &tags }),
		a.pointEdit("pin JOB POINT", "Keep a recovery point beyond the history limit", "  tidemark point pin web p123", 2, 2,
			func(r *api.EditPointRequest, _ []string) { yes := true; r.Pinned = &yes }),
		a.pointEdit("unpin JOB POINT", "Let retention remove a pinned recovery point again", "  tidemark point unpin web p123", 2, 2,
			func(r *api.EditPointRequest, _ []string) { no := false; r.Pinned = &no }),
		a.pointEdit("delete JOB POINT", "Delete a recovery point", "  tidemark point delete web p123", 2, 2,
			func(r *api.EditPointRequest, _ []string) { r.Delete = true }))
}

func (a *app) cmdPointList() *cobra.Command {
	var out format
	var last int
	c := &cobra.Command{
		Use: "list JOB", Short: "List a job's recovery points, oldest first", Args: cobra.ExactArgs(1), ValidArgsFunction: a.complete(jobNames),
		Long:    long("List the points that a job can be recovered to. Times are in the target site's time,\nwith their greatest error. A time is doubtful if it cannot be what the source says:\na clock was set, or the source does not tell the truth. The order of points and what\nthey hold do not depend on any clock.\n\nThe notes say requested, pinned or damaged. A damaged point needs stored data that\ncannot be read: a failover or an export to it fails where it needs them.\nTested is the last test failover to the point that ended with a verdict; -o json has its\nnote, who gave it, and what the checks found."),
		Example: "  tidemark point list web\n  tidemark point list web --last 5 -o json",
		RunE: func(c *cobra.Command, args []string) error {
			return a.with(c.Context(), func(ctx context.Context, cl *client.Client) error {
				points, err := cl.Points(ctx, args[0])
				if err != nil {
					return err
				}
				a.sayLost(ctx, cl, args[0])
				if last > 0 && len(points) > last {
					points = points[len(points)-last:]
				}
				return out.print(a.out, points, []string{"point", "time", "error", "write", "notes", "tested", "tags"}, func(add func(...any)) {
					for _, p := range points {
						add(p.ID(), clockText(p.Time), errorText(p), p.Seq, notes(p), testedText(p.Tested), strings.Join(p.Tags, " "))
					}
				})
			})
		},
	}
	c.Flags().IntVar(&last, "last", 0, "show only this many of the newest points")
	out.register(c)
	return c
}

// sayLost names on standard error the points that were durable and were lost: they are
// missing from the list.
func (a *app) sayLost(ctx context.Context, cl *client.Client, name string) {
	job, err := cl.Job(ctx, name)
	if err != nil {
		return
	}
	st, err := cl.Journal().Status(ctx, job.Group())
	if err != nil {
		return
	}
	for _, l := range st.Losses {
		fmt.Fprintln(a.err, plain(l.String()))
	}
}

// testedText says when a point was tested, and what came of it.
func testedText(t *cdp.PointTest) string {
	if t == nil {
		return ""
	}
	return string(t.Verdict) + " " + clockText(t.At)
}

// notes say why a point is kept, and whether it can be read.
func notes(p cdp.Point) string {
	var w []string
	if p.Damaged {
		w = append(w, "damaged")
	}
	if p.Requested {
		w = append(w, "requested")
	}
	if p.Pinned {
		w = append(w, "pinned")
	}
	return strings.Join(w, ", ")
}

// pointEdit is a command that changes a point.
func (a *app) pointEdit(use, short, example string, least, most int, set func(*api.EditPointRequest, []string)) *cobra.Command {
	args := cobra.MinimumNArgs(least)
	if most >= 0 {
		args = cobra.RangeArgs(least, most)
	}
	verb, _, _ := strings.Cut(use, " ")
	var force bool
	var out format
	c := &cobra.Command{
		Use: use, Short: short, Long: long(short + ".\nName the point as in the list: p123."), Example: example, Args: args, ValidArgsFunction: a.complete(jobNames, pointNames),
		RunE: func(c *cobra.Command, args []string) error {
			return a.with(c.Context(), func(ctx context.Context, cl *client.Client) error {
				r := api.EditPointRequest{Point: args[1], Force: force}
				set(&r, slices.Clone(args[2:]))
				p, err := cl.EditPoint(ctx, args[0], r)
				if err != nil {
					return cdp.Wrap(err, verb+" point", args[1])
				}
				return out.facts(a.out, p, args[1], func() error {
					if r.Delete {
						fmt.Fprintf(a.out, "%s deleted\n", args[1])
						return nil
					}
					fmt.Fprintf(a.out, "%s %s tags [%s] pinned %v\n", p.ID(), clockText(p.Time), plain(strings.Join(p.Tags, " ")), p.Pinned)
					return nil
				})
			})
		},
	}
	if verb == "delete" {
		c.Flags().BoolVar(&force, "force", false, "even while an export shows it, which goes on to do so")
	}
	out.register(c)
	return c
}

// clockText is a time for people.
func clockText(t time.Time) string { return health.TimeText(t) }

// errorText is how wrong the time of a point may be.
func errorText(p cdp.Point) string {
	if p.Doubtful {
		return boundText(p.Bound) + ", doubtful"
	}
	return boundText(p.Bound)
}

// boundText is an error bound for people.
func boundText(d time.Duration) string {
	if d == 0 {
		return "not measured"
	}
	return "+- " + round(d)
}

// round is a duration with as many digits as people read.
func round(d time.Duration) string { return health.DurationText(d) }
