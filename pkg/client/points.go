package client

import (
	"context"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/spec"
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
	// NoWait: it is only asked for. It can have no tags and no pin then.
	NoWait bool
}

// CreatePoint asks the source site of a running job for a recovery point, and waits
// until the point is durable here. It is the point of this very call: it holds every
// write answered before, and other calls at the same time get points of their own.
// With NoWait the point is the zero value.
func (c *Client) CreatePoint(ctx context.Context, name string, p NewPoint) (cdp.Point, error) {
	var none cdp.Point
	if err := cdp.CheckTags(p.Tags); err != nil {
		return none, err
	}
	if p.NoWait && (p.Pinned || len(p.Tags) > 0) {
		return none, cdp.Errorf(cdp.Invalid, "check", name, "without a wait nobody learns whether the point was made, so it can have no tags and no pin").
			WithHint("leave out --no-wait, or --tag and --pin")
	}
	job, err := c.Job(ctx, name)
	if err != nil {
		return none, err
	}
	st, err := c.runState(ctx, job.Name)
	if err != nil {
		return none, err
	}
	if !st.Running() {
		return none, cdp.Errorf(cdp.Conflict, "check", job.Name, "the job is not running").WithHint("start it with: tidemark job run " + job.Name)
	}
	if _, err := c.Journal().Status(ctx, job.Group()); err != nil {
		return none, err
	}
	id := bus.NewID()
	named := len(p.Tags) > 0 || p.Pinned
	if named { // first, so that the point has them even if nobody is here any more when it comes
		if err := c.Journal().Expect(ctx, api.ExpectRequest{Group: job.Group(), Request: cdp.RequestOf(id), Tags: p.Tags, Pinned: p.Pinned}); err != nil {
			return none, err
		}
	}
	err = c.sendAs(ctx, id, job.Source.Site, event.CaptureMark{Group: job.Group(), Requested: true})
	if err != nil || p.NoWait {
		return none, err
	}
	made, err := c.answered(ctx, job, id)
	if err != nil || !named {
		return made, err
	}
	// It may have been seen before it got them: then it gets them here.
	r := api.EditPointRequest{Group: job.Group(), Point: made.ID(), AddTags: p.Tags}
	if p.Pinned {
		r.Pinned = &p.Pinned
	}
	return c.Journal().EditPoint(ctx, r)
}

// answered waits for the point that answers the command.
func (c *Client) answered(ctx context.Context, job spec.ReplicationJob, command string) (made cdp.Point, err error) {
	want := api.PointsRequest{Group: job.Group(), Request: cdp.RequestOf(command)}
	err = c.await(ctx, job.Source.Site, command, string(want.Group), func(ctx context.Context) (bool, error) {
		ps, err := c.Journal().PointsPage(ctx, want)
		if len(ps.Points) == 0 {
			return false, err
		}
		made = ps.Points[0]
		return true, err
	})
	if err != nil && ctx.Err() == context.DeadlineExceeded {
		return made, cdp.Errorf(cdp.Transient, "wait for the point", "", "it is not durable within the --timeout; it may still come, with its tags and pin").
			WithHint("is the target behind? see: tidemark status " + job.Name)
	}
	return made, err
}
