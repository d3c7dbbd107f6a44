package vcenter

import (
	"context"
	"slices"
	"strings"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
)

// attach handles api.VMAttach: it moves the disks from the transporter to the VM.
func (r *run) attach(ctx context.Context) (api.VMRunReply, error) {
	var none api.VMRunReply
	switch {
	case r.rec.Value.Stage == stageKept:
		return none, cdp.Errorf(cdp.Conflict, "attach", r.req.Job, "the failover was committed")
	case r.req.Test && !r.rec.exists():
		return none, cdp.Errorf(cdp.NotFound, "attach", r.req.Job, "the test VM was not built")
	}
	// The member comes first: from then on, the replica is not reconciled.
	if !r.req.Test && r.m.Value.State != inventory.FailedOver {
		if err := setState(ctx, r.report, r.m, inventory.FailedOver, "the failover "+r.req.Run+" has it"); err != nil {
			return none, err
		}
	}
	err := r.enter(ctx, stageTaken, func(x *runRecord) {
		if !r.req.Test {
			x.VM, x.Name = r.m.Value.Replica, r.m.Value.Name
		}
	})
	if err != nil {
		return none, err
	}
	v, err := r.vm(ctx)
	if err != nil {
		return none, err
	}
	if !r.req.Test {
		if v, err = r.onLivingHost(ctx, v); err != nil {
			return none, err
		}
	}
	if err := r.findDisks(ctx); err != nil {
		return none, err
	}
	r.tell("detaches the disks from the transporter", 0, 0)
	if err := r.hotadd.detach(ctx, r.vc, withFile(r.files())); err != nil {
		return none, err
	}
	r.tell("attaches the disks to "+v.Name, 0, 0)
	// After boot, the VM writes to files above these. Its snapshot shows that the
	// disks are attached.
	ours, _, err := r.guards(ctx, v.Ref)
	if err != nil {
		return none, err
	}
	if len(ours) == 0 {
		if v.Power == inventory.PoweredOn && !r.hasDisks(v) {
			// Somebody started it without its disks, so there is nothing to lose.
			r.tell("powers "+v.Name+" off, which somebody started without its disks", 0, 0)
			if err := r.vc.PowerOff(ctx, v.Ref); err != nil {
				return none, err
			}
		}
		if _, err := r.vc.Plug(ctx, v.Ref, r.plugs()); err != nil {
			return none, err
		}
		if v, err = r.see(ctx, v, "attach", "its disks are not all attached", r.hasDisks); err != nil {
			return none, err
		}
	}
	r.tell(v.Name+" has its disks", 0, 0)
	return api.VMRunReply{VM: r.reply(ctx, v)}, nil
}

// hasDisks reports whether all of the run's disks are attached to the VM.
func (r *run) hasDisks(v inventory.VM) bool {
	return !slices.ContainsFunc(r.plugs(), func(p inventory.Plug) bool {
		return !slices.ContainsFunc(v.Hardware.Disks, func(d inventory.Disk) bool {
			return baseOf(d) == p.File || p.UUID != "" && strings.EqualFold(d.UUID, p.UUID)
		})
	})
}
