package client

import (
	"context"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/contract/subjects"
)

// Reprotect asks this site, which becomes the target, for the job that leads back from a
// committed failover, until it is there and was told to run; shown is given what is
// waited for. With DryRun the reply says what would be done. Asked again it goes on.
func (c *Client) Reprotect(ctx context.Context, r api.ReprotectRequest, shown func(string)) (api.ReprotectReply, error) {
	for {
		var reply api.ReprotectReply
		err := c.ask(ctx, checkTime, subjects.Scheduler, api.JobReprotect, r, &reply)
		if err == nil {
			err = api.ApplyReply{Kind: spec.KindJob, Name: reply.Job.Name, Problems: reply.Problems}.Err()
		}
		if err != nil || reply.Done || r.DryRun {
			return reply, err
		}
		shown(reply.Text)
		if err := clock.Sleep(ctx, c.clock, pollEvery); err != nil {
			return reply, cdp.Errorf(cdp.Transient, "wait", "", "not done within the --timeout").WithHint("ask again: it goes on from where it is")
		}
	}
}
