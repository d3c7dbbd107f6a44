package client

import (
	"context"
	"errors"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/subjects"
)

// DeleteSite deletes the description of a site that no job uses.
func (c *Client) DeleteSite(ctx context.Context, site cdp.Site) error {
	return c.ask(ctx, Slow, subjects.VCenter, api.SiteDelete, api.SiteRequest{Site: site}, nil)
}

// DeleteJob deletes a stopped job, or releases one VM of a job on VMs. It waits
// until that is done, or until ctx ends; shown is given the progress.
func (c *Client) DeleteJob(ctx context.Context, r api.JobDeleteRequest, shown func(api.Progress)) error {
	answered := false
	isSilent := func(err error) bool { return silent(err, subjects.Scheduler) || silent(err, subjects.VCenter) }
	_, err := c.finish(ctx, isSilent, "tidemark job status "+r.Job, shown, func(ctx context.Context) (p api.Progress, err error) {
		err = c.ask(ctx, checkTime, subjects.Scheduler, api.JobDelete, r, &p)
		if answered && cdp.Is(err, cdp.NotFound) { // it was done, and that answer was lost
			return api.Progress{Done: true}, nil
		}
		answered = answered || err == nil
		return p, err
	})
	return cdp.Wrap(err, "delete job", r.Job)
}

// SilentText is the progress of a service that has answered, and is silent now.
const SilentText = "the service does not answer; asking again"

// finish asks for long work until it is done. A service that restarts goes on with
// it: once it has answered, its silence is waited out, as long as ctx lasts. look
// is the command that shows the outcome if that was not long enough.
func (c *Client) finish(ctx context.Context, isSilent func(error) bool, look string, shown func(api.Progress), ask func(context.Context) (api.Progress, error)) (api.Progress, error) {
	answered := false
	for {
		p, err := ask(ctx)
		switch {
		case errors.Is(ctx.Err(), context.Canceled):
			return p, ctx.Err()
		case ctx.Err() != nil:
			return p, cdp.Errorf(cdp.Transient, "wait", "", "not done within the --timeout").
				WithHint("ask again to wait on: work in progress goes on, work that waits for something else has not begun; see: " + look)
		case err != nil && answered && isSilent(err):
			shown(api.Progress{Text: SilentText})
		case err != nil:
			return p, err
		default:
			answered = true
			shown(p)
			if p.Done {
				return p, nil
			}
		}
		_ = clock.Sleep(ctx, c.clock, pollEvery) // its end is seen above
	}
}
