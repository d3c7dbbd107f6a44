package vcenter

import (
	"context"
	"slices"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/inventory"
)

// thaw handles api.VMThaw.
func (f *freezer) thaw(ctx context.Context, r api.ThawRequest) (any, error) {
	// A freeze that only waits for slots has made nothing yet.
	f.lanes.stop(lane("source", r.Group), func(string) bool { return f.slots.waiting(r.Group) })
	_, p, err := inLane(ctx, f.lanes, lane("source", r.Group), "thaw "+r.Keep, func(ctx context.Context, tell progress) (api.Empty, error) {
		err := f.thawNow(ctx, r, tell)
		if err == nil && r.Keep == "" {
			f.slots.give(r.Group)
		}
		return api.Empty{}, cdp.Wrap(err, "thaw", string(r.Group))
	})
	return p, err
}

// thawNow detaches the frozen disks and then removes the snapshots of all passes of
// the group but Keep, and of groups whose job is deleted. It needs this order: a
// snapshot whose disk is attached somewhere cannot be consolidated. It never touches
// snapshots that are not ours.
func (f *freezer) thawNow(ctx context.Context, r api.ThawRequest, tell progress) error {
	vc, err := f.connect(ctx)
	if err != nil {
		return err
	}
	if r.VM == "" {
		return f.thawAnywhere(ctx, r, tell)
	}
	v, t, gone, err := f.look(ctx, vc, r.VM)
	if err != nil {
		return err
	}
	if gone {
		return f.detachStray(ctx, vc, tell) // everything else is gone with the VM
	}
	_, err = f.thawOf(ctx, vc, v, t, r, tell)
	return err
}

// thawOf is thawNow for a VM and a transporter that were just read. It reports whether
// it changed anything.
func (f *freezer) thawOf(ctx context.Context, vc frozenVMs, v, t inventory.VM, r api.ThawRequest, tell progress) (changed bool, err error) {
	f.passes.forget(r.Group, r.Keep)
	var left []inventory.Snapshot
	var goes, kept []inventory.Disk
	for _, x := range v.Snapshots {
		pass, remove := passOf(x, r.Group)
		if remove {
			remove = pass != r.Keep
		} else if remove, err = f.orphan(ctx, x); err != nil {
			return false, err
		}
		if remove {
			left, goes = append(left, x), append(goes, x.Disks...)
		} else {
			kept = append(kept, x.Disks...)
		}
	}
	if r.Keep == "" {
		kept = nil
	}
	tell("detaches frozen disks", 0, 0)
	changed, err = f.detachFrozen(ctx, vc, v, t, goes, kept)
	if err != nil {
		return changed, err
	}
	for i, x := range left {
		tell("removes snapshots", int64(i), int64(len(left)))
		if err := vc.RemoveSnapshot(ctx, v.Ref, x.Ref); err != nil {
			return true, err
		}
	}
	return changed || len(left) > 0, f.consolidate(ctx, vc, r.VM, len(left) > 0, tell)
}

// thawAnywhere is thawNow for a deleted job, whose VM is not known any more.
func (f *freezer) thawAnywhere(ctx context.Context, r api.ThawRequest, tell progress) error {
	inv, err := f.cache.fresh(ctx)
	if err != nil {
		return err
	}
	for _, v := range inv.VMs {
		if !slices.ContainsFunc(v.Snapshots, func(x inventory.Snapshot) bool { _, ours := passOf(x, r.Group); return ours }) {
			continue
		}
		r.VM = v.UUID
		if err := f.thawNow(ctx, r, tell); err != nil {
			return err
		}
	}
	return nil
}

// detachFrozen detaches the frozen disks of a VM: those of snapshots that go, and
// those of snapshots that are gone already, which have the UUID of one of the VM's
// disks. Another VM's disk may have the same UUID or, in another datacenter, the same
// path, so neither alone identifies a disk.
func (f *freezer) detachFrozen(ctx context.Context, vc frozenVMs, v, t inventory.VM, goes, kept []inventory.Disk) (bool, error) {
	var failed error
	changed, err := f.hotadd.detachFrom(ctx, vc, t, func(d inventory.Disk) bool {
		same := func(x inventory.Disk) bool { return x.UUID == d.UUID && x.File == d.File }
		switch {
		case d.Mode != frozenMode || slices.ContainsFunc(kept, same) || failed != nil:
			return false
		case slices.ContainsFunc(goes, same):
			return true
		case !slices.ContainsFunc(v.Hardware.Disks, func(x inventory.Disk) bool { return x.UUID == d.UUID }):
			return false
		}
		var inv inventory.Inventory
		inv, failed = f.cache.get(ctx)
		return failed == nil && !slices.ContainsFunc(inv.VMs, func(u inventory.VM) bool { return u.Ref != v.Ref && writesAbove(u, d.File) })
	})
	if failed != nil {
		return changed, failed
	}
	return changed, err
}

// writesAbove reports whether a VM has a disk whose chain has the file.
func writesAbove(v inventory.VM, file string) bool {
	return slices.ContainsFunc(v.Hardware.Disks, func(d inventory.Disk) bool {
		return d.Mode != frozenMode && (d.File == file || slices.Contains(d.Below, file))
	})
}

// detachStray detaches frozen disks that belong to no VM any more.
func (f *freezer) detachStray(ctx context.Context, vc frozenVMs, tell progress) error {
	t, err := f.hotadd.machine(ctx, vc)
	if err != nil {
		return err
	}
	frozen := func(d inventory.Disk) bool { return d.Mode == frozenMode }
	if !slices.ContainsFunc(t.Hardware.Disks, frozen) {
		return nil
	}
	inv, err := f.cache.fresh(ctx)
	if err != nil {
		return err
	}
	var uuids []string
	for _, v := range inv.VMs {
		if v.Ref == t.Ref {
			continue
		}
		for _, d := range v.Hardware.Disks {
			uuids = append(uuids, d.UUID)
		}
	}
	var files []string
	for _, d := range t.Hardware.Disks {
		if frozen(d) && !slices.Contains(uuids, d.UUID) {
			files = append(files, d.File)
		}
	}
	tell("detaches frozen disks", 0, 0)
	return f.hotadd.detach(ctx, vc, withFile(files))
}

// consolidate consolidates a VM whose snapshots were removed without being merged.
func (f *freezer) consolidate(ctx context.Context, vc frozenVMs, uuid string, removed bool, tell progress) error {
	if !removed {
		return nil
	}
	now, err := vc.Machines(ctx, uuid)
	if err != nil || !now[0].Consolidate {
		return err
	}
	tell("consolidates the VM's disks", 0, 0)
	failed := vc.Consolidate(ctx, now[0].Ref)
	if now, err = vc.Machines(ctx, uuid); err != nil {
		return err
	}
	v := now[0]
	if failed != nil || v.Consolidate {
		text := "its disks need consolidation, and consolidating them failed: consolidate them by hand before the datastore fills up"
		if failed != nil {
			text += " (" + failed.Error() + ")"
		}
		f.report.alarm(ctx, event.AlarmConsolidation, v.Name, text)
	}
	return nil
}
