package client

import (
	"context"
	"fmt"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/contract/subjects"
	"tidemark.dev/pkg/core/failoverrun"
	"tidemark.dev/pkg/core/health"
)

// SetCommitPolicy sets how a group's production failover ends if nobody ends it, and
// returns the run as it is then. An empty id means the current run.
func (c *Client) SetCommitPolicy(ctx context.Context, name, id string, p recovery.Policy, window spec.Duration) (failoverrun.Run, error) {
	const op = "set commit policy"
	group, err := c.Group(ctx, name)
	if err != nil {
		return failoverrun.Run{}, err
	}
	r := api.FailoverPolicyRequest{Job: string(group), Run: id, Policy: p, Window: window}
	if err := c.conn.Request(ctx, c.site, subjects.Failover, api.FailoverPolicy, r, nil); err != nil {
		return failoverrun.Run{}, cdp.Wrap(err, op, r.Job)
	}
	run, err := c.Failover(ctx, group)
	if err == nil && run == nil {
		err = cdp.Errorf(cdp.NotFound, op, r.Job, "no failover was ever started for it")
	}
	if err != nil {
		return failoverrun.Run{}, err
	}
	return *run, nil
}

// Written says in words what a machine has written to the disks of a production run,
// which an undo would discard; empty if that is nothing.
func (c *Client) Written(ctx context.Context, run failoverrun.Run) (string, error) {
	switch {
	case run.UsableAt.IsZero() || run.To == recovery.ToFiles:
		return "", nil
	case run.To == recovery.ToVM:
		return "all writes of the VM, which are not counted", nil
	}
	open, err := c.Exports(ctx, run.Job)
	if err != nil {
		return "", err
	}
	for _, x := range open {
		if n := x.Written(); x.ID == run.ExportID() && n > 0 {
			return fmt.Sprintf("%d writes, to %s of the disks", x.Writes(), health.BytesText(n)), nil
		}
	}
	return "", nil
}
