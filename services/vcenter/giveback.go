package vcenter

import (
	"context"
	"fmt"
	"slices"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
)

// powerOff handles api.VMStop.
func (s *Service) powerOff(ctx context.Context, r *run) (api.VMRunReply, error) {
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
	v.Power = inventory.PoweredOff
	r.tell(v.Name+" is off", 0, 0)
	return api.VMRunReply{VM: r.tellVM(ctx, v)}, nil
}

// giveBack handles api.VMReturn: what the VM wrote is thrown away, the disks
// are back at the transporter, and the replica is looked after again.
func (s *Service) giveBack(ctx context.Context, r *run) (api.VMRunReply, error) {
	var none api.VMRunReply
	if r.req.Test {
		return none, cdp.Errorf(cdp.Invalid, "return", r.req.Job, "a test's VM is removed")
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
		if lost, err := s.lost(ctx, r.m.Value); err != nil {
			return none, err
		} else if lost {
			return none, cdp.Errorf(cdp.Conflict, "return", r.req.Job, "its VM and disks were deleted at the vCenter: there is nothing to go back to").
				WithHint("delete the job: tidemark delete job " + r.m.Value.Job + " --yes")
		}
	}
	if err == nil && r.rec.exists() {
		if err := r.strip(ctx, v); err != nil {
			return none, err
		}
	}
	r.tell("attaches the disks to the transporter", 0, 0)
	var plugs []inventory.Plug
	for _, d := range r.m.Value.Disks {
		plugs = append(plugs, inventory.Plug{File: d.File})
	}
	uuids, paths, err := s.plugIn(ctx, r.vc, plugs)
	if err != nil {
		return none, err
	}
	for i, d := range r.m.Value.Disks {
		if d.UUID != uuids[i] || d.Path != paths[i] {
			return none, cdp.Errorf(cdp.Internal, "return", d.File, "it came back as %s at %s, and was %s at %s", uuids[i], paths[i], d.UUID, d.Path)
		}
	}
	if r.m.Value.State == inventory.FailedOver {
		if err := s.become(ctx, r.m, inventory.Ready, ""); err != nil {
			return none, err
		}
	}
	r.tell("the disks are back", 0, 0)
	return api.VMRunReply{Paths: paths}, r.rec.drop(ctx, s)
}

// strip takes from the replica VM what the failover gave it.
func (r *run) strip(ctx context.Context, v inventory.VM) error {
	if err := r.vc.PowerOff(ctx, v.Ref); err != nil {
		return err
	}
	ours, later, err := r.guards(ctx, v.Ref)
	if err != nil {
		return err
	}
	if len(later) > 0 {
		return cdp.Errorf(cdp.Conflict, "undo", v.Name, "somebody made the snapshot %q since the VM was started", later[0].Name).
			WithHint("remove the snapshots that were made after " + ours[0].Name + ", then undo again")
	}
	if len(ours) > 0 {
		r.tell("throws away what "+v.Name+" wrote", 0, 0)
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
	return r.vc.Block(ctx, v.Ref, "it is a replica: use tidemark failover")
}

// keep handles api.VMKeep: the replica VM is the VM from now on.
func (s *Service) keep(ctx context.Context, r *run) (api.VMRunReply, error) {
	var none api.VMRunReply
	if r.req.Test {
		return none, cdp.Errorf(cdp.Invalid, "keep", r.req.Job, "a test's VM is removed")
	}
	if st := r.rec.Value.Stage; st != stageTaken && st != stageKept {
		return none, cdp.Errorf(cdp.Conflict, "keep", r.req.Job, "no failover has its VM")
	}
	v, err := r.vm(ctx)
	if cdp.Is(err, cdp.NotFound) {
		lost, err := s.lost(ctx, r.m.Value)
		if err != nil {
			return none, err
		}
		if lost { // the run is ended all the same
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
	if r.m.Value.ReplicaUUID != v.UUID { // without marks it is known by that only
		r.m.Value.ReplicaUUID = v.UUID
		if err := r.m.save(ctx, s); err != nil {
			return none, err
		}
	}
	if err := r.enter(ctx, stageKept, nil); err != nil {
		return none, err
	}
	note := fmt.Sprintf("Failed over from %s by Tidemark, run %s.", r.m.Value.VM.Name, r.req.Run)
	if err := r.vc.Label(ctx, v.Ref, "", note, unmarked()); err != nil {
		return none, err
	}
	r.tell(v.Name+" is the VM from now on", 0, 0)
	return api.VMRunReply{VM: r.tellVM(ctx, v)}, nil
}

// remove handles api.VMRemove: nothing of a test is left, wherever it stopped.
func (s *Service) remove(ctx context.Context, r *run) (api.VMRunReply, error) {
	var none api.VMRunReply
	if !r.req.Test {
		return none, cdp.Errorf(cdp.Invalid, "remove", r.req.Job, "only a test's VM is removed")
	}
	if !r.rec.exists() {
		return api.VMRunReply{Text: "nothing is left of the test"}, nil
	}
	if err := r.enter(ctx, stageGone, nil); err != nil {
		return none, err
	}
	r.tell("removes the test VM "+r.rec.Value.Name, 0, 0)
	if err := r.clear(ctx); err != nil {
		return none, err
	}
	if made := r.rec.Value.Making; !made.IsZero() {
		if left := made.Add(s.cfg.LateFor).Sub(s.deps.Clock.Now()); left > 0 {
			r.tell("waits whether the vCenter still makes what it was asked for before", 0, 0)
			select {
			case <-s.deps.Clock.After(left):
			case <-ctx.Done():
				return none, cdp.Wrap(ctx.Err(), "remove", r.req.Job)
			}
			if err := r.clear(ctx); err != nil {
				return none, err
			}
		}
	}
	r.tell("nothing is left of the test", 0, 0)
	return none, r.rec.drop(ctx, s)
}

// clear deletes what there is of a test's VM and disks now.
func (r *run) clear(ctx context.Context) error {
	var files []string
	for _, d := range r.rec.Value.Disks {
		files = append(files, d.File)
	}
	if err := r.s.pullOut(ctx, r.vc, withFile(files)); err != nil {
		return err
	}
	inv, err := r.s.inventory(ctx, true)
	if err != nil {
		return err
	}
	v, err := r.vm(ctx)
	if err != nil && !cdp.Is(err, cdp.NotFound) {
		return err
	}
	for _, f := range files {
		if err := onlyOf(inv, f, v.Ref); err != nil {
			return err
		}
	}
	if err == nil {
		if err := r.destroyTest(ctx, v); err != nil {
			return err
		}
	}
	for _, f := range files {
		if err := r.vc.DeleteDisk(ctx, inv.DatacenterOf(f), f); err != nil && !cdp.Is(err, cdp.NotFound) {
			return err
		}
	}
	return nil
}

// destroyTest deletes the VM with its disks. One that somebody else attached to
// it is taken off first: it would be deleted, too.
func (r *run) destroyTest(ctx context.Context, v inventory.VM) error {
	if err := r.vc.PowerOff(ctx, v.Ref); err != nil {
		return err
	}
	var foreign []string
	for _, d := range v.Hardware.Disks {
		ours := slices.ContainsFunc(r.rec.Value.Disks, func(x runDisk) bool { return x.File == d.File || x.UUID != "" && x.UUID == d.UUID })
		if !ours {
			foreign = append(foreign, d.File)
		}
	}
	if len(foreign) > 0 {
		if err := r.vc.Unplug(ctx, v.Ref, foreign); err != nil {
			return err
		}
	}
	// Those that it does not have yet are deleted while their folder is there.
	inv, err := r.s.lately(ctx)
	if err != nil {
		return err
	}
	for _, x := range r.rec.Value.Disks {
		if slices.ContainsFunc(v.Hardware.Disks, func(d inventory.Disk) bool { return d.File == x.File || x.UUID != "" && x.UUID == d.UUID }) {
			continue
		}
		if err := r.vc.DeleteDisk(ctx, inv.DatacenterOf(x.File), x.File); err != nil && !cdp.Is(err, cdp.NotFound) {
			return err
		}
	}
	err = r.vc.Destroy(ctx, v.Ref, true)
	if cdp.Is(err, cdp.NotFound) {
		return nil
	}
	return err
}
