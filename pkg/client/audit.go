package client

import (
	"context"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
)

// Audit gives what the services of a site were asked since a time, by whom, and what came
// of it, oldest first. The site is this one, or a peer, whose records are copied here;
// about narrows it down to one job, plan or site.
func (c *Client) Audit(ctx context.Context, of cdp.Site, since time.Time, about string) (out []api.AuditRecord, err error) {
	err = c.conn.Audit(ctx, of, func(r api.AuditRecord) error {
		if !r.At.Before(since) && (about == "" || r.About == about) {
			out = append(out, r)
		}
		return nil
	})
	return out, err
}
