package client

import (
	"context"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
)

// ExportRequest asks for a group's disks at a point. Exactly one of Point and At of
// What is set; its Group is set here.
type ExportRequest struct {
	Job  string
	What api.ResolveRequest
	// ID names the export; asked again with the same ID it is the same export.
	ID      string
	Scratch bool   // writable; what is written is discarded at the end
	Listen  string // host:port or the path of a unix socket; empty: a socket of the journal
}

// OpenExport serves a group's disks at a point over NBD, until CloseExport.
func (c *Client) OpenExport(ctx context.Context, r ExportRequest) (api.Export, api.Resolved, error) {
	var none api.Resolved
	job, err := c.Job(ctx, r.Job)
	if err != nil {
		return api.Export{}, none, err
	}
	j := c.Journal()
	r.What.Group = job.Group()
	res, err := j.Resolve(ctx, r.What)
	if err != nil {
		return api.Export{}, none, cdp.Wrap(err, "export", job.Name)
	}
	limit := int64(0)
	if r.Scratch {
		limit = int64(job.Failover.Scratch)
	}
	x, err := j.Open(ctx, api.OpenRequest{Group: job.Group(), ID: r.ID, Seq: res.Seq, Scratch: r.Scratch, Listen: r.Listen, Purpose: api.ForExport, Limit: limit})
	return x, res, cdp.Wrap(err, "export", job.Name)
}

// Exports are the open exports of a group, those of failover runs among them.
func (c *Client) Exports(ctx context.Context, name string) ([]api.Export, error) {
	g, err := c.Group(ctx, name)
	if err != nil {
		return nil, err
	}
	r, err := c.Journal().ListExports(ctx, g)
	return r.Exports, err
}

// CloseExport closes an export. Conflict if it belongs to a failover run, or, without
// force, if clients are connected.
func (c *Client) CloseExport(ctx context.Context, name, id string, force bool) error {
	const op = "close export"
	all, err := c.Exports(ctx, name)
	if err != nil {
		return err
	}
	for _, x := range all {
		if x.ID != id {
			continue
		}
		if x.Purpose != api.ForExport {
			return cdp.Errorf(cdp.Conflict, op, id, "it belongs to a %s failover", x.Purpose).
				WithHint("see: tidemark failover status " + name)
		}
		return cdp.Wrap(c.Journal().Close(ctx, api.CloseRequest{Group: x.Group, ID: id, Force: force}), op, id)
	}
	return cdp.Errorf(cdp.NotFound, op, id, "%s has no such export", name)
}
