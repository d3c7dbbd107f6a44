package vcenter

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
)

// guardName is the name of the snapshot that undo reverts to.
func guardName(run string) string { return "tidemark-failover-" + run }

// guards are the run's snapshots, oldest first: one, or more if an answer was lost.
// later are those that somebody else made after it.
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

// unguard removes the run's snapshots and keeps what the VM wrote.
func (r *run) unguard(ctx context.Context, vm inventory.Ref, ours []inventory.Snapshot) error {
	for _, x := range slices.Backward(ours) {
		if err := r.vc.RemoveSnapshot(ctx, vm, x.Ref); err != nil {
			return err
		}
	}
	left, _, err := r.guards(ctx, vm)
	if err == nil && len(left) > 0 {
		err = unseen("remove snapshot", string(vm), left[0].Name+" is still there")
	}
	return err
}

// boot handles api.VMBoot. In production it first takes a snapshot, which keeps disks
// and settings as they were until the operator decides.
func (r *run) boot(ctx context.Context) (api.VMRunReply, error) {
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
			// Without it, what the VM writes could not be taken back.
			if ours, _, err = r.guards(ctx, v.Ref); err != nil {
				return none, err
			}
			if len(ours) == 0 {
				return none, unseen("boot", v.Name, "it has no snapshot to go back to")
			}
		}
		if err := r.rewire(ctx); err != nil {
			return none, err
		}
		r.tell("connects its networks", 0, 0)
		if err := r.connectCards(ctx, v); err != nil {
			return none, err
		}
		if id := r.identity(); id != nil && id.Login == "" && len(v.Hardware.NICs) > 0 {
			r.tell("configures the guest's addresses", 0, 0)
			if err := r.customize(ctx, v, *id); err != nil {
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
		if v, err = r.see(ctx, v, "boot", "it is not on", isOn); err != nil {
			return none, err
		}
	}
	if err := r.readdress(ctx, v, r.cfg.GuestWait); err != nil {
		return none, err
	}
	text := v.Name + " is powered on"
	for _, why := range []string{r.rec.Value.Unwired, r.rec.Value.Unset} {
		if why != "" {
			text += ", but " + why
		}
	}
	r.tell(text, 0, 0)
	return api.VMRunReply{VM: r.reply(ctx, v)}, nil
}

// connectSeen connects the VM's network cards, and reads back whether they are.
func (r *run) connectSeen(ctx context.Context, v inventory.VM, nets map[int32]inventory.Ref) (bool, error) {
	if err := r.vc.Connect(ctx, v.Ref, nets); err != nil {
		return false, err
	}
	now, err := r.vc.VM(ctx, v.UUID)
	return onNetworks(nets)(now), err
}

// connectCards puts the VM's network cards on their networks. In production a card
// that cannot be connected does not keep the VM off: that can be mended while it runs,
// and its checks report it. A test's VM is not started then, for it must not reach
// production.
func (r *run) connectCards(ctx context.Context, v inventory.VM) error {
	nets := r.networks(v)
	seen, err := r.connectSeen(ctx, v, nets)
	if err == nil && !seen {
		seen, err = r.connectSeen(ctx, v, nets)
	}
	const elsewhere = "a network card is on another network"
	if r.req.Test {
		if err == nil && !seen {
			err = unseen("boot", v.Name, elsewhere)
		}
		return err
	}
	why := ""
	switch {
	case err == nil && !seen:
		why = "the vCenter reported that its network cards were connected, but " + elsewhere + " than the job wants: connect it there"
	case cdp.Is(err, cdp.Conflict), cdp.Is(err, cdp.Invalid), cdp.Is(err, cdp.NotFound):
		why = fmt.Sprintf("the vCenter refused to connect its network cards (%v): connect them there", err)
	case err != nil:
		return err
	default:
		for _, n := range v.Hardware.NICs {
			if nets[n.Key] == "" {
				why = n.Label + " has no network, because the one that the job names does not exist here: connect it at the vCenter"
			}
		}
	}
	if why != "" && why != r.rec.Value.Unwired {
		r.report.member(ctx, r.m.Value, v.Name+" is started by the failover "+r.req.Run+", but "+why)
	}
	return r.enter(ctx, r.rec.Value.Stage, func(x *runRecord) { x.Unwired = why })
}

// unwired is why a network card of the VM is still on no network, or on another one
// than the job wants; nil: somebody connected it.
func (r *run) unwired(ctx context.Context, v inventory.VM) error {
	inv, err := r.cache.recent(ctx)
	if err != nil {
		return err
	}
	nets := r.networks(v)
	for _, n := range v.Hardware.NICs {
		want := nets[n.Key]
		exists := slices.ContainsFunc(inv.Networks, func(x inventory.Network) bool { return x.Ref == n.Network })
		if want != "" && n.Network != want || want == "" && !exists {
			return errors.New(r.rec.Value.Unwired)
		}
	}
	return nil
}

// customize configures the guest's addresses. A refusal does not keep the VM off: a
// running VM with the wrong addresses can be mended at its console, and one that is
// off cannot. Its checks report it.
func (r *run) customize(ctx context.Context, v inventory.VM, id inventory.Identity) error {
	err := r.vc.Customize(ctx, v.Ref, id)
	why := ""
	switch {
	case err == nil:
	case cdp.Is(err, cdp.Conflict), cdp.Is(err, cdp.Invalid):
		why = fmt.Sprintf("the vCenter refused to configure the guest's addresses (%v): set them at its console: %s", err, orNone(givenAddresses(&id)))
		r.report.member(ctx, r.m.Value, v.Name+" is started by the failover "+r.req.Run+", but "+why)
	default:
		return err
	}
	return r.enter(ctx, r.rec.Value.Stage, func(x *runRecord) { x.Unset = why })
}

// networks are the networks of the VM's NICs. A new VM has device keys of its own,
// but the order of the NICs is the same.
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
