package client

import (
	"context"
	"slices"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/subjects"
)

// CheckFailover has the VM of a group's run checked again. An empty id means the current
// run. Conflict: it has no VM, or is not ready.
func (c *Client) CheckFailover(ctx context.Context, name, id string) (Asked, error) {
	const op = "check the VM of"
	group, err := c.Group(ctx, name)
	if err != nil {
		return Asked{}, err
	}
	old, err := c.Failover(ctx, group)
	if err == nil && old == nil {
		err = cdp.Errorf(cdp.NotFound, op, string(group), "no failover was ever started for it")
	}
	if err != nil {
		return Asked{}, err
	}
	r := api.FailoverCheckRequest{Job: string(group), Run: id}
	if err := c.conn.Request(ctx, c.site, subjects.Failover, api.FailoverCheck, r, nil); err != nil {
		return Asked{}, cdp.Wrap(err, op, r.Job)
	}
	old.Steps = slices.Clone(old.Steps)
	for i, st := range old.Steps {
		if st.Step == recovery.Check {
			old.Steps[i].Status = recovery.Started
		}
	}
	return Asked{Job: r.Job, Run: old.ID, Before: old}, nil
}
