package client

import (
	"context"
	"time"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/subjects"
)

// CheckBus looks at the streams and consumers of this site, and changes nothing.
func (c *Client) CheckBus(ctx context.Context) ([]api.BusPart, error) {
	return bus.Check(ctx, c.conn, c.peers)
}

// silent is the error of a question to a site, or why that and this site cannot meet: this
// site's server knows of keys and certificates that do not fit.
func (c *Client) silent(ctx context.Context, site cdp.Site, err error) error {
	if site == c.site || !cdp.Is(err, cdp.Transient) {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	wrong, e := c.ApplyBus(ctx, true)
	if e != nil {
		return err
	}
	for _, d := range wrong {
		if d.IsLink() {
			return cdp.Errorf(cdp.Invalid, "join sites", string(c.site), "%s", d.Text).WithHint(d.Hint)
		}
	}
	return err
}

// ApplyBus has set-up make the streams and consumers of this site what they are declared
// to be, and gives what was different before. With dryRun it changes nothing.
func (c *Client) ApplyBus(ctx context.Context, dryRun bool) ([]api.BusDifference, error) {
	var r api.BusApplyReply
	err := c.conn.Request(ctx, c.site, subjects.Setup, api.BusApply, api.BusApplyRequest{DryRun: dryRun}, &r)
	return r.Differences, err
}
