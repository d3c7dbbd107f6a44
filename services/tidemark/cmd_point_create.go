package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
)

func (a *app) cmdPointCreate() *cobra.Command {
	var tags []string
	var pin bool
	var w waitFlags
	c := &cobra.Command{
		Use: "create JOB", Short: "Set a recovery point now", Args: cobra.ExactArgs(1),
		Long:    long("Ask the source site for a recovery point, and wait until it is durable at the\ntarget. It needs the source site."),
		Example: "  tidemark point create web --tag before-upgrade --pin",
		RunE: func(c *cobra.Command, args []string) error {
			return a.with(c.Context(), func(ctx context.Context, cl *session) error {
				ctx, cancel := w.bound(ctx)
				defer cancel()
				return cdp.Wrap(a.createPoint(ctx, cl, args[0], tags, pin, w.no), "create point of", args[0])
			})
		},
	}
	c.Flags().StringArrayVar(&tags, "tag", nil, "a tag for the point; may be given again")
	c.Flags().BoolVar(&pin, "pin", false, "keep it beyond the history limit")
	w.register(c, 30*time.Second)
	return c
}

func (a *app) createPoint(ctx context.Context, c *session, name string, tags []string, pin, noWait bool) error {
	job, err := c.job(ctx, name)
	if err != nil {
		return err
	}
	name = job.Name
	st, err := c.runState(ctx, name)
	if err != nil {
		return err
	}
	if st == nil || st.Desired != api.DesiredRunning {
		return cdp.Errorf(cdp.Conflict, "check", name, "the job is not running").WithHint("start it with: tidemark job run " + name)
	}
	g, err := c.journal().Status(ctx, job.Group())
	if err != nil {
		return err
	}
	var before cdp.FrameNo
	if g.Newest != nil {
		before = g.Newest.Frame
	}
	var made cdp.Point
	mark := event.CaptureMark{Group: job.Group(), Requested: true, Tags: tags}
	done := func(ctx context.Context) (bool, error) {
		p, err := c.since(ctx, job.Group(), before)
		made = p
		return p.Frame > 0, err
	}
	if noWait {
		done = nil
	}
	err = c.client.Do(ctx, job.Source.Site, mark, done)
	if err != nil {
		return err
	}
	if noWait {
		fmt.Fprintf(a.out, "asked for a point of %s\n", name)
		return nil
	}
	if len(tags) > 0 || pin {
		r := api.EditPointRequest{Group: job.Group(), Point: made.ID(), Tags: &tags}
		if pin {
			r.Pinned = &pin
		}
		if made, err = c.journal().EditPoint(ctx, r); err != nil {
			return err
		}
	}
	fmt.Fprintf(a.out, "%s of %s, %s\n", made.ID(), clockText(made.Time), boundText(made.Bound))
	return nil
}

// since is the newest requested point behind frame after; the zero point if
// there is none yet. The list of points is long, so it is asked for only when
// the newest point is a newer one that nobody requested.
func (c *session) since(ctx context.Context, g cdp.GroupID, after cdp.FrameNo) (cdp.Point, error) {
	st, err := c.journal().Status(ctx, g)
	if err != nil || st.Newest == nil || st.Newest.Frame <= after || st.Newest.Requested {
		if err != nil || st.Newest == nil || st.Newest.Frame <= after {
			return cdp.Point{}, err
		}
		return *st.Newest, nil
	}
	r, err := c.journal().Points(ctx, g)
	for i := len(r.Points) - 1; i >= 0 && r.Points[i].Frame > after; i-- {
		if r.Points[i].Requested {
			return r.Points[i], nil
		}
	}
	return cdp.Point{}, err
}
