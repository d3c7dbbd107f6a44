package client

import (
	"context"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/subjects"
)

// CheckBus looks at the streams and consumers of this site, and changes nothing.
func (c *Client) CheckBus(ctx context.Context) ([]api.BusPart, error) {
	return bus.Check(ctx, c.conn, c.peers)
}

// ApplyBus has set-up make the streams and consumers of this site what they are declared
// to be, and gives what was different before. With dryRun it changes nothing.
func (c *Client) ApplyBus(ctx context.Context, dryRun bool) ([]api.BusDifference, error) {
	var r api.BusApplyReply
	err := c.conn.Request(ctx, c.site, subjects.Setup, api.BusApply, api.BusApplyRequest{DryRun: dryRun}, &r)
	return r.Differences, err
}
