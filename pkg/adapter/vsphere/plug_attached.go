package vsphere

import (
	"context"
	"slices"
	"strings"

	"github.com/vmware/govmomi/vim25/types"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
)

// attached is the disk with the file as its top; nil if none. Conflict: it is
// attached under a snapshot of the VM, so that writes go to another file.
func attached(devices []types.BaseVirtualDevice, file string) (*types.VirtualDisk, link, error) {
	for _, d := range disksOf(devices) {
		for depth, l := range linksOf(d) {
			switch {
			case l.file != file:
			case depth == 0:
				return d, l, nil
			case linksOf(d)[0].mode != frozenMode:
				return nil, l, cdp.Errorf(cdp.Conflict, "look for", file,
					"a snapshot of the VM that it is attached to lies over it: writes go to %s", linksOf(d)[0].file).
					WithHint("remove the snapshots of that VM, and exclude it from backups that take snapshots")
			}
		}
	}
	return nil, link{}, nil
}

func plugged(op, subject string, devices []types.BaseVirtualDevice, disks []inventory.Plug) ([]string, error) {
	out := make([]string, len(disks))
	for i, p := range disks {
		d, top, err := attached(devices, p.File)
		if err != nil {
			return nil, cdp.Wrap(err, op, subject)
		}
		if d == nil {
			return nil, cdp.Errorf(cdp.Transient, op, subject, "%s was attached, but is not any more", p.File)
		}
		if top.uuid == "" {
			return nil, cdp.Errorf(cdp.Conflict, op, subject, "the vCenter reports no UUID of %s", p.File)
		}
		out[i] = top.uuid
	}
	return out, nil
}

// tellApart returns the UUIDs of attached disks. It detaches what was just attached
// if one of them is not the disk that was meant: a path means another disk in another
// datacenter, and after a disk was moved. A disk and its snapshots have the same UUID,
// by which a guest finds disks, so it also detaches them if a UUID occurs twice.
func (c *Client) tellApart(ctx context.Context, op string, ref types.ManagedObjectReference, disks []inventory.Plug, before, now []types.BaseVirtualDevice) ([]string, error) {
	uuids, err := plugged(op, ref.String(), now, disks)
	if err != nil {
		return nil, err
	}
	wrong := wrongDisks(op, ref.String(), disks, uuids, now)
	if wrong == nil {
		return uuids, nil
	}
	var undo []string
	for _, p := range disks {
		was, _, _ := attached(before, p.File)
		if is, _, _ := attached(now, p.File); was == nil && is != nil {
			undo = append(undo, p.File)
		}
	}
	if err := c.takeOut(ctx, op, ref, undo); err != nil {
		return nil, err
	}
	return nil, wrong
}

// wrongDisks is a Conflict if a disk is not the one that was meant, or if the guest
// could not tell two of the VM's disks apart.
func wrongDisks(op, subject string, disks []inventory.Plug, uuids []string, now []types.BaseVirtualDevice) error {
	for i, p := range disks {
		if p.UUID != "" && !strings.EqualFold(p.UUID, uuids[i]) {
			return cdp.Errorf(cdp.Conflict, op, subject, "%s is another disk at this VM: its UUID is %s, not %s", p.File, uuids[i], p.UUID).
				WithHint("a path is unique in a datacenter only: are both VMs in the same datacenter? Was the disk moved or replaced?")
		}
	}
	if one, other := twins(now, uuids); one != "" {
		return cdp.Errorf(cdp.Conflict, op, subject, "%s and %s have the same UUID, so the guest could not tell them apart", one, other).
			WithHint("if one is left over, detach it; if both are in use, give one of them another UUID while its VM is off: vmkfstools -J setuuid")
	}
	return nil
}

// twins are two files with the same UUID among uuids; "" if none.
func twins(devices []types.BaseVirtualDevice, uuids []string) (one, other string) {
	files := map[string]string{}
	for _, d := range disksOf(devices) {
		ls := linksOf(d)
		if len(ls) == 0 || !slices.Contains(uuids, ls[0].uuid) {
			continue
		}
		if first, twice := files[ls[0].uuid]; twice {
			return first, ls[0].file
		}
		files[ls[0].uuid] = ls[0].file
	}
	return "", ""
}
