package vcenter

import (
	"context"
	"slices"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
)

const opSeed = "take seed"

// takeSeed makes a file the replica of a disk, in the record only. A file that was not
// taken is never touched, nor deleted with the job, and two jobs never take the same
// file.
func (r *memberRound) takeSeed(ctx context.Context, d *inventory.MemberDisk, file string) error {
	unlock, err := r.s.locks.take(ctx, "seeds")
	if err != nil {
		return err
	}
	defer unlock()
	if err := r.s.seedUnused(ctx, r.m.Value, d, file); err != nil {
		return err
	}
	if err := r.fits(ctx, file, d.Disk.Size); err != nil {
		return err
	}
	d.File, d.Seeded = file, true
	if err := r.m.save(ctx); err != nil {
		d.File, d.Seeded = "", false
		return err
	}
	return nil
}

// dropSeed undoes takeSeed, and detaches the seed if a crash left it attached.
func (r *memberRound) dropSeed(ctx context.Context, d *inventory.MemberDisk) error {
	if err := r.s.hotadd.detach(ctx, r.vc, withFile([]string{d.File})); err != nil {
		return err
	}
	d.File, d.Seeded, d.SeedUUID = "", false, ""
	return r.m.save(ctx)
}

// seedUnused is a Conflict if a seed is in use now: it would be overwritten. A file
// can have two names, so its UUID counts too once it is known.
func (s *jobControl) seedUnused(ctx context.Context, m inventory.Member, d *inventory.MemberDisk, file string) error {
	all, err := members(ctx, s.records, "")
	if err != nil {
		return err
	}
	for _, x := range all {
		for _, y := range x.Value.Disks {
			other := x.Value.Group != m.Group || y.Name != d.Name
			if other && y.File != "" && (inventory.CleanFile(y.File) == file || y.UUID != "" && y.UUID == d.SeedUUID) {
				return cdp.Errorf(cdp.Conflict, opSeed, file, "it is already a disk of the replica %s", x.Value.Group).
					WithHint("name a copy of it")
			}
		}
	}
	inv, err := s.cache.fresh(ctx)
	if err != nil {
		return err
	}
	own, err := s.ownTransporter(ctx, inv)
	if err != nil {
		return err
	}
	users := inv.UsersOf(m.Datacenter, file, d.SeedUUID)
	if d.SeedUUID != "" {
		for _, v := range inv.VMs {
			if slices.ContainsFunc(v.Hardware.Disks, func(x inventory.Disk) bool { return x.UUID == d.SeedUUID }) {
				users = append(users, v)
			}
		}
	}
	for _, v := range users {
		if d.File == "" || v.UUID != own { // a taken one may have been attached to the transporter before a crash
			return cdp.Errorf(cdp.Conflict, opSeed, file, "it is a disk of the VM %s", v.Path).
				WithHint("a seed becomes the replica's disk and is overwritten: detach it there first, or name a copy of it")
		}
	}
	return nil
}

// checkSeeds checks seeds that were just attached to the transporter, now that their
// UUIDs are known. One that is in use is detached, and not attached again while it
// is; nothing was written to it yet.
func (r *memberRound) checkSeeds(ctx context.Context, uuids []string) error {
	m := r.m
	for i := range m.Value.Disks {
		d := &m.Value.Disks[i]
		if !d.Seeded || d.UUID != "" {
			continue
		}
		d.SeedUUID = uuids[i]
		err := r.s.seedUnused(ctx, r.m.Value, d, d.File)
		if !cdp.Is(err, cdp.Conflict) {
			if err != nil {
				return err
			}
			continue
		}
		if err := r.m.save(ctx); err != nil {
			return err
		}
		if err := r.s.hotadd.detach(ctx, r.vc, withFile([]string{d.File})); err != nil {
			return err
		}
		return err
	}
	return nil
}

// ownTransporter is the instance UUID of the VM that this service runs on.
func (s *jobControl) ownTransporter(ctx context.Context, inv inventory.Inventory) (string, error) {
	site, err := s.site(ctx)
	if err != nil {
		return "", err
	}
	v, why := inv.FindVM(site.Transporter)
	if why != "" {
		return "", cdp.Errorf(cdp.NotFound, "find transporter", site.Transporter, "%s", why)
	}
	return v.UUID, nil
}
