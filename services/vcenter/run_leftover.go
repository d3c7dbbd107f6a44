package vcenter

import (
	"context"
	"slices"
	"strings"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
)

// dropOthers deletes the replica's disks that the committed VM does not have: those that
// were added at the source after the point, or removed before it. The history that had
// them is sealed, and the replica has no other use. A disk that was a seed is detached
// and stays, and so does one that a VM has or that cannot be deleted. It says what it
// did.
func (r *run) dropOthers(ctx context.Context) (text string, err error) {
	kept := r.disks()
	others := slices.DeleteFunc(slices.Clone(r.m.Value.Disks), func(d inventory.MemberDisk) bool {
		return d.File == "" || slices.ContainsFunc(kept, func(k inventory.MemberDisk) bool { return k.Name == d.Name })
	})
	if len(others) == 0 {
		return "", nil
	}
	if err := r.findDisks(ctx); err != nil {
		return "", err
	}
	for i, d := range others { // by their UUIDs, where they are now
		at := slices.IndexFunc(r.m.Value.Disks, func(x inventory.MemberDisk) bool { return x.Name == d.Name })
		others[i] = r.m.Value.Disks[at]
	}
	inv, err := r.cache.fresh(ctx)
	if err != nil {
		return "", err
	}
	dc, err := r.hotadd.datacenterOf(ctx, inv, r.m.Value)
	if err != nil {
		return "", err
	}
	var deleted, stay []string
	for _, d := range others {
		if err := r.hotadd.detach(ctx, r.vc, withFile([]string{d.File})); err != nil {
			return "", err
		}
		switch err := r.dropOther(ctx, inv, dc, d); {
		case err == nil:
			deleted = append(deleted, d.File)
		case cdp.Is(err, cdp.Transient) || ctx.Err() != nil:
			return "", err
		default:
			stay = append(stay, d.File+" ("+err.Error()+")")
		}
	}
	if len(deleted) > 0 {
		text = "the point does not have these disks of the replica, and they were deleted: " + strings.Join(deleted, ", ")
	}
	if len(stay) > 0 {
		if text != "" {
			text += "; "
		}
		text += "the point does not have these disks of the replica, and their files stay: " + strings.Join(stay, ", ")
	}
	was := r.m.Value.Disks
	r.m.Value.Disks = slices.DeleteFunc(slices.Clone(was), func(d inventory.MemberDisk) bool {
		return slices.ContainsFunc(others, func(o inventory.MemberDisk) bool { return o.Name == d.Name })
	})
	if err := r.m.save(ctx); err != nil {
		r.m.Value.Disks = was
		return "", err
	}
	r.report.member(ctx, r.m.Value, text)
	return text, nil
}

// dropOther deletes a disk that is attached to no VM. inv is from before it was detached
// from the transporter, which is no user of it.
func (r *run) dropOther(ctx context.Context, inv inventory.Inventory, dc inventory.Ref, d inventory.MemberDisk) error {
	const op = "delete disk"
	if d.Seeded || d.UUID == "" {
		return cdp.Errorf(cdp.Conflict, op, d.File, "it is not known to be made by Tidemark")
	}
	t, err := r.hotadd.machine(ctx, r.vc)
	if err != nil {
		return err
	}
	if err := onlyUser(inv, dc, d.File, d.UUID, t.Ref); err != nil {
		return err
	}
	return r.vc.DeleteDisk(ctx, dc, d.File, d.UUID)
}
