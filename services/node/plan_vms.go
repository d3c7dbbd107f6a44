package node

import (
	"context"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/contract/subjects"
	"tidemark.dev/pkg/core/vmpolicy"
	"tidemark.dev/services/orchestrator"
)

// planVMs is orchestrator.VMs.
type planVMs struct {
	c       *client.Client
	conn    *bus.Conn
	members *bus.Bucket[inventory.Member]
}

func (v planVMs) Member(ctx context.Context, job string) (inventory.Member, error) {
	x, err := v.members.Get(ctx, "member."+job)
	return x.Value, err
}

func (v planVMs) Obstacles(ctx context.Context, job spec.VMJob) ([]inventory.Problem, error) {
	var r api.JobCheckReply
	err := v.conn.Request(ctx, v.conn.Site(), subjects.VCenter, api.VMJobCheck, api.VMJobCheckRequest{Job: job}, &r)
	return append(r.Problems, r.Warnings...), err
}

func (v planVMs) Here(ctx context.Context) (inventory.Inventory, int, error) {
	inv, err := v.c.Inventory(ctx, v.conn.Site(), false, true)
	if err != nil {
		return inv, -1, err
	}
	sites, err := v.c.Sites(ctx)
	for _, s := range sites {
		if s.Name != v.conn.Site() || s.VSphere == nil || s.VSphere.Transporter == "" {
			continue
		}
		if t, why := inv.FindVM(s.VSphere.Transporter); why == "" {
			return inv, vmpolicy.FreeSlots(t), nil
		}
	}
	return inv, -1, cdp.Wrap(err, "find transporter", string(v.conn.Site()))
}

func (v planVMs) SetPower(ctx context.Context, r api.SetPowerRequest) (inventory.Power, error) {
	for {
		var reply api.SetPowerReply
		err := v.conn.Request(ctx, v.conn.Site(), subjects.VCenter, api.VMSetPower, r, &reply)
		if err != nil || reply.Done || r.DryRun {
			return reply.Power, err
		}
	}
}

var _ orchestrator.VMs = planVMs{}
