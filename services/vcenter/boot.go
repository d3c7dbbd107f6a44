package vcenter

import (
	"context"
	"fmt"
	"slices"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
)

// guardName is the snapshot that what the VM writes can be thrown away with.
func guardName(run string) string { return "tidemark-failover-" + run }

// guards are the run's snapshots, the first first: one, unless an answer was
// lost once. later are those that somebody else made after it.
func (r *run) guards(ctx context.Context, vm inventory.Ref) (ours, later []inventory.Snapshot, err error) {
	all, err := r.vc.Snapshots(ctx, vm)
	for _, x := range all {
		switch {
		case x.Name == guardName(r.req.Run):
			ours = append(ours, x)
		case len(ours) > 0:
			later = append(later, x)
		}
	}
	return ours, later, err
}

// unguard removes the run's snapshots; what the VM wrote stays as it is now.
func (r *run) unguard(ctx context.Context, vm inventory.Ref, ours []inventory.Snapshot) error {
	for _, x := range slices.Backward(ours) {
		if err := r.vc.RemoveSnapshot(ctx, vm, x.Ref); err != nil {
			return err
		}
	}
	return nil
}

// boot handles api.VMBoot. In production a snapshot comes first: it holds
// disks and settings as they were, until the operator decides.
func (s *Service) boot(ctx context.Context, r *run) (api.VMRunReply, error) {
	var none api.VMRunReply
	if r.rec.Value.Stage != stageTaken {
		return none, cdp.Errorf(cdp.Conflict, "boot", r.req.Job, "the VM does not have its disks")
	}
	v, err := r.vm(ctx)
	if err != nil {
		return none, err
	}
	if v.Power != inventory.PoweredOn {
		ours, _, err := r.guards(ctx, v.Ref)
		if err != nil {
			return none, err
		}
		if !r.req.Test && len(ours) == 0 {
			r.tell("takes a snapshot of "+v.Name, 0, 0)
			note := fmt.Sprintf("Made by Tidemark before the failover %s started the VM: undo goes back to it, commit removes it.", r.req.Run)
			if _, err := r.vc.Snapshot(ctx, v.Ref, guardName(r.req.Run), note, false); err != nil {
				return none, err
			}
		}
		r.tell("connects its networks", 0, 0)
		if err := r.vc.Connect(ctx, v.Ref, r.networks(v)); err != nil {
			return none, err
		}
		if id := r.m.Value.Identity; id != nil && len(v.Hardware.NICs) > 0 {
			r.tell("tells the guest its addresses", 0, 0)
			if err := r.vc.Customize(ctx, v.Ref, *id); err != nil {
				return none, err
			}
		}
		r.tell("powers it on", 0, 0)
		if err := r.vc.Unblock(ctx, v.Ref); err != nil {
			return none, err
		}
		if err := r.vc.PowerOn(ctx, v.Ref); err != nil {
			return none, err
		}
		if v, err = r.vm(ctx); err != nil {
			return none, err
		}
	}
	r.tell(v.Name+" is powered on", 0, 0)
	return api.VMRunReply{VM: r.tellVM(ctx, v)}, nil
}

// networks are where the VM's NICs are connected. A VM that is made gets device
// keys of its own: what stays is their order.
func (r *run) networks(v inventory.VM) map[int32]inventory.Ref {
	nets := r.m.Value.Networks
	if r.req.Test {
		nets = r.m.Value.Isolated
	}
	out := map[int32]inventory.Ref{}
	for i, n := range r.m.Value.VM.Hardware.NICs {
		if to := nets[n.Key]; to != "" && i < len(v.Hardware.NICs) {
			out[v.Hardware.NICs[i].Key] = to
		}
	}
	return out
}
