package client

import (
	"context"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
)

// Journal asks the journal service of this site.
func (c *Client) Journal() Journal { return NewJournal(c.conn, c.site) }

// Points are all recovery points of the group that a name means, oldest first.
func (c *Client) Points(ctx context.Context, name string) ([]cdp.Point, error) {
	job, err := c.Job(ctx, name)
	if err != nil {
		return nil, err
	}
	r, err := c.Journal().Points(ctx, job.Group())
	return r.Points, err
}

// EditPoint changes a point of the group that a name means; r.Group is set here.
func (c *Client) EditPoint(ctx context.Context, name string, r api.EditPointRequest) (cdp.Point, error) {
	job, err := c.Job(ctx, name)
	if err != nil {
		return cdp.Point{}, err
	}
	r.Group = job.Group()
	return c.Journal().EditPoint(ctx, r)
}

// NewPoint is a recovery point to be made.
type NewPoint struct {
	Tags   []string
	Pinned bool // kept beyond the history limit
	// NoWait: it is only asked for; tags are set when it is made, a pin is not.
	NoWait bool
}

// CreatePoint asks the source site of a running job for a recovery point, and waits
// until the point is durable here. With NoWait the point is the zero value.
func (c *Client) CreatePoint(ctx context.Context, name string, p NewPoint) (cdp.Point, error) {
	var made cdp.Point
	job, err := c.Job(ctx, name)
	if err != nil {
		return made, err
	}
	st, err := c.runState(ctx, job.Name)
	if err != nil {
		return made, err
	}
	if !st.Running() {
		return made, cdp.Errorf(cdp.Conflict, "check", job.Name, "the job is not running").WithHint("start it with: tidemark job run " + job.Name)
	}
	g, err := c.Journal().Status(ctx, job.Group())
	if err != nil {
		return made, err
	}
	var before cdp.FrameNo
	if g.Newest != nil {
		before = g.Newest.Frame
	}
	var done func(context.Context) (bool, error)
	if !p.NoWait {
		done = func(ctx context.Context) (bool, error) {
			x, err := c.requested(ctx, job.Group(), before)
			made = x
			return x.Frame > 0, err
		}
	}
	mark := event.CaptureMark{Group: job.Group(), Requested: true, Tags: p.Tags}
	if err := c.do(ctx, job.Source.Site, mark, done); err != nil || p.NoWait || len(p.Tags) == 0 && !p.Pinned {
		return made, err
	}
	r := api.EditPointRequest{Group: job.Group(), Point: made.ID(), Tags: &p.Tags}
	if p.Pinned {
		r.Pinned = &p.Pinned
	}
	return c.Journal().EditPoint(ctx, r)
}

// requested is the newest requested point after a frame; the zero point if there is
// none yet. The list of points is long, so it is read only if the newest point is
// newer and was not requested.
func (c *Client) requested(ctx context.Context, g cdp.GroupID, after cdp.FrameNo) (cdp.Point, error) {
	st, err := c.Journal().Status(ctx, g)
	switch {
	case err != nil || st.Newest == nil || st.Newest.Frame <= after:
		return cdp.Point{}, err
	case st.Newest.Requested:
		return *st.Newest, nil
	}
	r, err := c.Journal().Points(ctx, g)
	for i := len(r.Points) - 1; i >= 0 && r.Points[i].Frame > after; i-- {
		if r.Points[i].Requested {
			return r.Points[i], nil
		}
	}
	return cdp.Point{}, err
}
