package client

import (
	"context"

	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/subjects"
	"tidemark.dev/pkg/core/approval"
)

// Approve gives this site what a person agrees to, and says who agreed to that by now.
func (c *Client) Approve(ctx context.Context, l approval.Line) (r api.ApproveReply, err error) {
	return r, c.conn.Request(ctx, c.site, subjects.Scheduler, api.JobApprove, l, &r)
}
