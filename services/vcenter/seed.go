package vcenter

import (
	"context"
	"slices"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
)

// opSeed is what is done when a seed is refused.
const opSeed = "take seed"

// takeSeed makes a file the replica of a disk, in the record only: what was not
// taken is not touched, nor deleted with the job. Two jobs never take one file.
func (r *round) takeSeed(ctx context.Context, m *member, d *inventory.MemberDisk, file string) error {
	unlock, err := r.s.locks.lock(ctx, "seeds")
	if err != nil {
		return err
	}
	defer unlock()
	if err := r.s.seedFree(ctx, m.Value, d, file); err != nil {
		return err
	}
	if err := r.fits(ctx, file, d.Disk.Size); err != nil {
		return err
	}
	d.File, d.Seeded = file, true
	if err := m.save(ctx, r.s); err != nil {
		d.File, d.Seeded = "", false
		return err
	}
	return nil
}

// leaveSeed takes back what takeSeed did, and what a crash may have left.
func (r *round) leaveSeed(ctx context.Context, m *member, d *inventory.MemberDisk) error {
	if err := r.s.pullOut(ctx, r.vc, withFile([]string{d.File})); err != nil {
		return err
	}
	d.File, d.Seeded, d.SeedUUID = "", false, ""
	return m.save(ctx, r.s)
}

// seedFree is Conflict if a seed is somebody's, as things are now: it would be
// overwritten. A file can have two names: so its UUID counts, too, once known.
func (s *Service) seedFree(ctx context.Context, m inventory.Member, d *inventory.MemberDisk, file string) error {
	all, err := s.members(ctx, "")
	if err != nil {
		return err
	}
	for _, x := range all {
		for _, y := range x.Value.Disks {
			other := x.Value.Group != m.Group || y.Name != d.Name
			if other && y.File != "" && (inventory.CleanFile(y.File) == file || y.UUID != "" && y.UUID == d.SeedUUID) {
				return cdp.Errorf(cdp.Conflict, opSeed, file, "it is a disk of the replica %s already", x.Value.Group).
					WithHint("name a copy of it")
			}
		}
	}
	inv, err := s.inventory(ctx, true)
	if err != nil {
		return err
	}
	own, err := s.ownVM(ctx, inv)
	if err != nil {
		return err
	}
	users := inv.UsersOf(file)
	if d.SeedUUID != "" {
		for _, v := range inv.VMs {
			if slices.ContainsFunc(v.Hardware.Disks, func(x inventory.Disk) bool { return x.UUID == d.SeedUUID }) {
				users = append(users, v)
			}
		}
	}
	for _, v := range users {
		if d.File == "" || v.UUID != own { // one that was taken may be at the transporter since before a crash
			return cdp.Errorf(cdp.Conflict, opSeed, file, "it is a disk of the VM %s", v.Path).
				WithHint("a seed becomes the replica's and is overwritten: detach it there first, or name a copy of it")
		}
	}
	return nil
}

// seedsAlone looks at seeds that were just attached to the transporter, now that
// their UUIDs are known. One that is somebody's is detached again, and not
// attached any more while it is; nothing was written yet.
func (r *round) seedsAlone(ctx context.Context, m *member, uuids []string) error {
	for i := range m.Value.Disks {
		d := &m.Value.Disks[i]
		if !d.Seeded || d.UUID != "" {
			continue
		}
		d.SeedUUID = uuids[i]
		err := r.s.seedFree(ctx, m.Value, d, d.File)
		if !cdp.Is(err, cdp.Conflict) {
			if err != nil {
				return err
			}
			continue
		}
		if err := m.save(ctx, r.s); err != nil {
			return err
		}
		if err := r.s.pullOut(ctx, r.vc, withFile([]string{d.File})); err != nil {
			return err
		}
		return err
	}
	return nil
}

// ownVM is the instance UUID of the VM that this service runs on.
func (s *Service) ownVM(ctx context.Context, inv inventory.Inventory) (string, error) {
	site, err := s.deps.Site(ctx)
	if err != nil {
		return "", err
	}
	v, why := inv.FindVM(site.Transporter)
	if why != "" {
		return "", cdp.Errorf(cdp.NotFound, "find transporter", site.Transporter, "%s", why)
	}
	return v.UUID, nil
}
