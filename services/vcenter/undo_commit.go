package vcenter

import (
	"context"
	"fmt"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
)

// powerOff handles api.VMStop.
func (r *run) powerOff(ctx context.Context) (api.VMRunReply, error) {
	v, err := r.vm(ctx)
	if cdp.Is(err, cdp.NotFound) {
		return api.VMRunReply{Text: "there is no VM"}, nil
	}
	if err != nil {
		return api.VMRunReply{}, err
	}
	r.tell("powers "+v.Name+" off", 0, 0)
	if err := r.vc.PowerOff(ctx, v.Ref); err != nil {
		return api.VMRunReply{}, err
	}
	if v, err = r.see(ctx, v, "stop", "it is not off", isOff); err != nil {
		return api.VMRunReply{}, err
	}
	r.tell(v.Name+" is off", 0, 0)
	return api.VMRunReply{VM: r.reply(ctx, v)}, nil
}

// undo handles api.VMReturn: it discards what the VM wrote and returns the disks to
// the transporter. The replica is reconciled again from then on.
func (r *run) undo(ctx context.Context) (api.VMRunReply, error) {
	var none api.VMRunReply
	if r.req.Test {
		return none, cdp.Errorf(cdp.Invalid, "return", r.req.Job, "a test's VM is not returned, but removed")
	}
	if r.rec.Value.Stage == stageKept {
		return none, cdp.Errorf(cdp.Conflict, "return", r.req.Job, "the failover was committed")
	}
	if r.rec.exists() {
		if err := r.enter(ctx, stageBack, nil); err != nil {
			return none, err
		}
	}
	v, err := r.vm(ctx)
	if err != nil && !cdp.Is(err, cdp.NotFound) {
		return none, err
	}
	if err != nil && r.rec.exists() {
		if lost, err := replicaLost(ctx, r.cache, r.hotadd, r.vc, r.m.Value); err != nil {
			return none, err
		} else if lost {
			return none, cdp.Errorf(cdp.Conflict, "return", r.req.Job, "its VM and disks were deleted at the vCenter: there is nothing to return to").
				WithHint("delete the job: tidemark delete job " + r.m.Value.Job + " --yes")
		}
	}
	if err := r.findDisks(ctx); err != nil {
		return none, err
	}
	if err == nil && r.rec.exists() {
		if err := r.strip(ctx, v); err != nil {
			return none, err
		}
	}
	r.tell("attaches the disks to the transporter", 0, 0)
	var plugs []inventory.Plug
	for _, d := range r.m.Value.Disks {
		plugs = append(plugs, inventory.Plug{File: d.File, UUID: d.UUID})
	}
	uuids, paths, err := r.hotadd.attach(ctx, r.vc, plugs)
	if err != nil {
		return none, err
	}
	for i, d := range r.m.Value.Disks {
		if d.UUID != uuids[i] || d.Path != paths[i] {
			return none, cdp.Errorf(cdp.Internal, "return", d.File, "it is %s at %s now, and was %s at %s", uuids[i], paths[i], d.UUID, d.Path)
		}
	}
	if r.m.Value.State == inventory.FailedOver {
		if err := setState(ctx, r.report, r.m, inventory.Ready, ""); err != nil {
			return none, err
		}
	}
	r.tell("the disks are back", 0, 0)
	return api.VMRunReply{Paths: paths}, r.rec.drop(ctx)
}

// strip takes everything from the replica VM that the failover gave it.
func (r *run) strip(ctx context.Context, v inventory.VM) error {
	if err := r.vc.PowerOff(ctx, v.Ref); err != nil {
		return err
	}
	if _, err := r.see(ctx, v, "undo", "it is not off", isOff); err != nil {
		return err
	}
	ours, later, err := r.guards(ctx, v.Ref)
	if err != nil {
		return err
	}
	if len(later) > 0 {
		return cdp.Errorf(cdp.Conflict, "undo", v.Name, "somebody took the snapshot %q after the VM was started", later[0].Name).
			WithHint("remove the snapshots that were taken after " + ours[0].Name + ", then undo again")
	}
	if len(ours) > 0 {
		r.tell("discards what "+v.Name+" wrote", 0, 0)
		if err := r.vc.Revert(ctx, v.Ref, ours[0].Ref); err != nil {
			return err
		}
		if err := r.unguard(ctx, v.Ref, ours); err != nil {
			return err
		}
	}
	if err := r.vc.Unplug(ctx, v.Ref, r.files()); err != nil {
		return err
	}
	if _, err := r.see(ctx, v, "undo", "a disk is still attached", r.hasNoDisk); err != nil {
		return err
	}
	return r.vc.Block(ctx, v.Ref, "it is a replica: use tidemark failover")
}

// commit handles api.VMKeep: the replica VM is the VM from then on.
func (r *run) commit(ctx context.Context) (api.VMRunReply, error) {
	var none api.VMRunReply
	if r.req.Test {
		return none, cdp.Errorf(cdp.Invalid, "keep", r.req.Job, "a test's VM is not kept, but removed")
	}
	if st := r.rec.Value.Stage; st != stageTaken && st != stageKept {
		return none, cdp.Errorf(cdp.Conflict, "keep", r.req.Job, "no failover has its VM")
	}
	v, err := r.vm(ctx)
	if cdp.Is(err, cdp.NotFound) {
		lost, err := replicaLost(ctx, r.cache, r.hotadd, r.vc, r.m.Value)
		if err != nil {
			return none, err
		}
		if lost { // the run ends all the same
			return api.VMRunReply{Text: "its VM and disks were deleted at the vCenter: nothing is kept"}, r.enter(ctx, stageKept, nil)
		}
	}
	if err != nil {
		return none, err
	}
	ours, _, err := r.guards(ctx, v.Ref)
	if err != nil {
		return none, err
	}
	if len(ours) > 0 {
		r.tell("merges what "+v.Name+" wrote into its disks", 0, 0)
		if err := r.unguard(ctx, v.Ref, ours); err != nil {
			return none, err
		}
	}
	if err := r.vc.Unblock(ctx, v.Ref); err != nil {
		return none, err
	}
	if r.m.Value.ReplicaUUID != v.UUID { // without marks, only its UUID identifies it
		r.m.Value.ReplicaUUID = v.UUID
		if err := r.m.save(ctx); err != nil {
			return none, err
		}
	}
	if err := r.enter(ctx, stageKept, nil); err != nil {
		return none, err
	}
	note := fmt.Sprintf("Failed over from %s by Tidemark, run %s.", r.m.Value.VM.Name, r.req.Run)
	if r.m.Value.TookFrom != "" {
		note = "" // its own note stays
	}
	if err := r.vc.Label(ctx, v.Ref, "", note, unmarked()); err != nil {
		return none, err
	}
	if err := r.startHome(ctx, v); err != nil {
		return none, err
	}
	text := v.Name + " is the VM from now on"
	others, err := r.dropOthers(ctx)
	if err != nil {
		return none, err
	}
	if others != "" {
		text += "; " + others
	}
	r.tell(text, 0, 0)
	return api.VMRunReply{VM: r.reply(ctx, v)}, nil
}
