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
func (s *Service) thaw(ctx context.Context, r api.ThawRequest) (any, error) {
	_, p, err := inLane(ctx, s.lanes, lane("source", r.Group), "thaw "+r.Keep, func(ctx context.Context, tell report) (api.Empty, error) {
		return api.Empty{}, cdp.Wrap(s.thawNow(ctx, r, tell), "thaw", string(r.Group))
	})
	return p, err
}

// thawNow detaches and removes what passes of the group other than Keep left,
// and those of groups whose job is gone, in this order: a snapshot whose disk is
// attached somewhere cannot be consolidated. Snapshots that are not ours are never
// touched.
func (s *Service) thawNow(ctx context.Context, r api.ThawRequest, tell report) error {
	vc, err := s.vcenter(ctx)
	if err != nil {
		return err
	}
	if r.VM == "" {
		return s.thawAnywhere(ctx, r, tell)
	}
	v, err := vc.VM(ctx, r.VM)
	if cdp.Is(err, cdp.NotFound) {
		return s.pullStray(ctx, vc, tell) // all that was made of it is gone with it, but for that
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
		} else if goes, err = s.orphan(ctx, x); err != nil {
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
	// Also what is left of a snapshot that is gone already: read-only, and the
	// UUID of one of the VM's disks.
	tell("detaches frozen disks", 0, 0)
	err = s.pullOut(ctx, vc, func(d inventory.Disk) bool {
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
	return s.consolidate(ctx, vc, r.VM, len(left) > 0, tell)
}

// thawAnywhere does that when the job was deleted and nobody knows any more which
// VM it was on.
func (s *Service) thawAnywhere(ctx context.Context, r api.ThawRequest, tell report) error {
	inv, err := s.inventory(ctx, true)
	if err != nil {
		return err
	}
	for _, v := range inv.VMs {
		if !slices.ContainsFunc(v.Snapshots, func(x inventory.Snapshot) bool { _, ours := passOf(x, r.Group); return ours }) {
			continue
		}
		r.VM = v.UUID
		if err := s.thawNow(ctx, r, tell); err != nil {
			return err
		}
	}
	return nil
}

// pullStray detaches frozen disks that are no VM's any more.
func (s *Service) pullStray(ctx context.Context, vc VCenter, tell report) error {
	t, err := s.transporter(ctx, vc)
	if err != nil {
		return err
	}
	frozen := func(d inventory.Disk) bool { return d.Mode == "independent_nonpersistent" }
	if !slices.ContainsFunc(t.Hardware.Disks, frozen) {
		return nil
	}
	inv, err := s.inventory(ctx, true)
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
	return s.pullOut(ctx, vc, withFile(files))
}

// consolidate helps a VM whose snapshots were removed but not merged.
func (s *Service) consolidate(ctx context.Context, vc VCenter, uuid string, removed bool, tell report) error {
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
		text := "its disks need consolidation, and that did not help: consolidate them by hand before the datastore fills up"
		if failed != nil {
			text += " (" + failed.Error() + ")"
		}
		s.alarm(ctx, event.AlarmConsolidation, v.Name, text)
	}
	return nil
}
