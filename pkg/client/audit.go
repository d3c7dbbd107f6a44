package client

import (
	"context"
	"time"

	"tidemark.dev/pkg/contract/api"
)

// Audit gives what the services of this site were asked since a time, by whom, and what
// came of it, oldest first; about narrows it down to one job, plan or site.
func (c *Client) Audit(ctx context.Context, since time.Time, about string) (out []api.AuditRecord, err error) {
	err = c.conn.Audit(ctx, func(r api.AuditRecord) error {
		if !r.At.Before(since) && (about == "" || r.About == about) {
			out = append(out, r)
		}
		return nil
	})
	return out, err
}
