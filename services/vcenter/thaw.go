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
	_, p, err := inLane(ctx, f.lanes, lane("source", r.Group), "thaw "+r.Keep, func(ctx context.Context, tell progress) (api.Empty, error) {
		return api.Empty{}, cdp.Wrap(f.thawNow(ctx, r, tell), "thaw", string(r.Group))
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
	v, err := vc.VM(ctx, r.VM)
	if cdp.Is(err, cdp.NotFound) {
		return f.detachStray(ctx, vc, tell) // everything else is gone with the VM
	}
	if err != nil {
		return err
	}
	all, err := vc.Snapshots(ctx, v.Ref)
	if err != nil {
		return err
	}
	var left []inventory.Snapshot
	var files, kept []string
	for _, x := range all {
		pass, goes := passOf(x, r.Group)
		if goes {
			goes = pass != r.Keep
		} else if goes, err = f.orphan(ctx, x); err != nil {
			return err
		}
		for _, d := range x.Disks {
			if goes {
				files = append(files, d.File)
			} else {
				kept = append(kept, d.File)
			}
		}
		if goes {
			left = append(left, x)
		}
	}
	var uuids []string
	for _, d := range v.Hardware.Disks {
		uuids = append(uuids, d.UUID)
	}
	// Also the disks of snapshots that are already gone: they are read-only and
	// have the UUID of one of the VM's disks.
	tell("detaches frozen disks", 0, 0)
	err = f.hotadd.detach(ctx, vc, func(d inventory.Disk) bool {
		return slices.Contains(files, d.File) ||
			d.Mode == "independent_nonpersistent" && slices.Contains(uuids, d.UUID) && (r.Keep == "" || !slices.Contains(kept, d.File))
	})
	if err != nil {
		return err
	}
	for i, x := range left {
		tell("removes snapshots", int64(i), int64(len(left)))
		if err := vc.RemoveSnapshot(ctx, v.Ref, x.Ref); err != nil {
			return err
		}
	}
	return f.consolidate(ctx, vc, r.VM, len(left) > 0, tell)
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

// detachStray detaches frozen disks that belong to no VM any more.
func (f *freezer) detachStray(ctx context.Context, vc frozenVMs, tell progress) error {
	t, err := f.hotadd.transporter(ctx, vc)
	if err != nil {
		return err
	}
	frozen := func(d inventory.Disk) bool { return d.Mode == "independent_nonpersistent" }
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
	v, err := vc.VM(ctx, uuid)
	if err != nil || !v.Consolidate {
		return err
	}
	tell("consolidates the VM's disks", 0, 0)
	failed := vc.Consolidate(ctx, v.Ref)
	if v, err = vc.VM(ctx, uuid); err != nil {
		return err
	}
	if failed != nil || v.Consolidate {
		text := "its disks need consolidation, and consolidating them failed: consolidate them by hand before the datastore fills up"
		if failed != nil {
			text += " (" + failed.Error() + ")"
		}
		f.report.alarm(ctx, event.AlarmConsolidation, v.Name, text)
	}
	return nil
}
