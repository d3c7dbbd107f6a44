package vsphere

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/vmware/govmomi/vim25/types"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/vms"
)

// Plug attaches disks to a VM that may run, all in one change, and gives their
// UUIDs, in order. One that is attached already stays where it is. Conflict: a
// place is taken, a file is locked, or a disk of the same UUID is attached, so
// that the guest could not tell which is which.
func (c *Client) Plug(ctx context.Context, vm vms.Ref, disks []vms.Plug) ([]string, error) {
	const op = "attach disks"
	ref, err := vmRef(vm)
	if err != nil {
		return nil, err
	}
	unlock, err := c.settle(ctx, op, ref)
	if err != nil {
		return nil, err
	}
	defer unlock()
	for try := 1; ; try++ {
		m, err := c.config(ctx, op, ref)
		if err != nil {
			return nil, err
		}
		devices := m.Config.Hardware.Device
		changes, err := plugging(devices, m.Config.Version, disks)
		if err != nil {
			return nil, cdp.Wrap(err, op, ref.String())
		}
		if len(changes) == 0 {
			return c.tellApart(ctx, op, ref, disks, devices, devices)
		}
		// Another process that changes the VM's devices at the same time would
		// choose the same places: then the vCenter refuses the later one.
		err = c.reconfigure(ctx, op, ref, types.VirtualMachineConfigSpec{
			ChangeVersion: m.Config.ChangeVersion, DeviceChange: changes})
		switch {
		case err == nil:
			now, err := c.config(ctx, op, ref)
			if err != nil {
				return nil, err
			}
			return c.tellApart(ctx, op, ref, disks, devices, now.Config.Hardware.Device)
		case ctx.Err() != nil, !cdp.Is(err, cdp.Transient) && !cdp.Is(err, cdp.Conflict):
			return nil, err
		case try == 5 || cdp.Is(err, cdp.Conflict) && !c.moved(ctx, op, ref, devices):
			return nil, c.namingHolders(ctx, op, ref, disks, err)
		}
		if err := sleep(ctx, time.Duration(try)*50*time.Millisecond); err != nil {
			return nil, c.fail(ctx, op, ref.String(), err)
		}
		if err := c.settled(ctx, op, ref); err != nil {
			return nil, err
		}
	}
}

// moved reports whether the places that are taken are not those that were.
func (c *Client) moved(ctx context.Context, op string, ref types.ManagedObjectReference, were []types.BaseVirtualDevice) bool {
	m, err := c.config(ctx, op, ref)
	return err == nil && !maps.Equal(newBay(m.Config.Hardware.Device, "").taken, newBay(were, "").taken)
}

// Unplug detaches disks by file and keeps the files. Those that are not
// attached are no error.
func (c *Client) Unplug(ctx context.Context, vm vms.Ref, files []string) error {
	const op = "detach disks"
	ref, err := vmRef(vm)
	if err != nil {
		return err
	}
	unlock, err := c.settle(ctx, op, ref)
	if err != nil {
		return err
	}
	defer unlock()
	m, err := c.config(ctx, op, ref)
	if err != nil {
		return err
	}
	var changes []types.BaseVirtualDeviceConfigSpec
	for _, file := range files {
		d, _, err := attached(m.Config.Hardware.Device, file)
		if err != nil {
			return cdp.Wrap(err, op, ref.String())
		}
		if d != nil {
			// No file operation: the files stay.
			changes = append(changes, change(types.VirtualDeviceConfigSpecOperationRemove, d))
		}
	}
	if len(changes) == 0 {
		return nil
	}
	return c.reconfigure(ctx, op, ref, types.VirtualMachineConfigSpec{DeviceChange: changes})
}

// plugging is the change that attaches those of disks that are not attached.
func plugging(devices []types.BaseVirtualDevice, version string, disks []vms.Plug) ([]types.BaseVirtualDeviceConfigSpec, error) {
	b := newBay(devices, version)
	places := make([]*place, len(disks))
	take := func(i int, p place, err error) error {
		places[i] = &p
		if err != nil {
			return cdp.Errorf(cdp.Conflict, "attach", disks[i].File, "%w", err)
		}
		return nil
	}
	absent := make([]bool, len(disks))
	// Those that must be at an address come first, so that none of the others
	// takes it.
	for i, want := range disks {
		d, top, err := attached(devices, want.File)
		if err != nil {
			return nil, err
		}
		if d != nil {
			if frozen := top.mode == frozenMode; frozen != want.Frozen {
				return nil, cdp.Errorf(cdp.Conflict, "attach", want.File, "it is attached already, but in the mode %s", top.mode).
					WithHint("detach it first")
			}
			continue
		}
		absent[i] = true
		if want.Address != "" {
			p, err := b.at(want.Address)
			if err := take(i, p, err); err != nil {
				return nil, err
			}
		}
	}
	var adds []types.BaseVirtualDeviceConfigSpec
	for i, want := range disks {
		if !absent[i] {
			continue
		}
		if places[i] == nil {
			p, err := b.any()
			if err := take(i, p, err); err != nil {
				return nil, err
			}
		}
		adds = append(adds, change(types.VirtualDeviceConfigSpecOperationAdd, existingDisk(want, *places[i], diskKeys-int32(i))))
	}
	var out []types.BaseVirtualDeviceConfigSpec
	for _, d := range b.added {
		out = append(out, change(types.VirtualDeviceConfigSpecOperationAdd, d))
	}
	return append(out, adds...), nil
}

const frozenMode = string(types.VirtualDiskModeIndependent_nonpersistent)

// existingDisk is a device without a capacity: with one, a new file would be
// made.
func existingDisk(p vms.Plug, at place, key int32) *types.VirtualDisk {
	mode := string(types.VirtualDiskModePersistent)
	if p.Frozen {
		mode = frozenMode
	}
	return &types.VirtualDisk{VirtualDevice: types.VirtualDevice{
		Key:           key,
		ControllerKey: at.controller,
		UnitNumber:    &at.unit,
		Backing: &types.VirtualDiskFlatVer2BackingInfo{
			VirtualDeviceFileBackingInfo: types.VirtualDeviceFileBackingInfo{FileName: p.File},
			DiskMode:                     mode,
		},
	}}
}

// attached is the disk whose newest file it is; nil if none is. Conflict: it is
// attached, but a snapshot of the VM lies over it, so that what is written goes
// elsewhere.
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
					WithHint("remove the snapshots of that VM, and keep it out of backups that make some")
			}
		}
	}
	return nil, link{}, nil
}

func plugged(op, subject string, devices []types.BaseVirtualDevice, disks []vms.Plug) ([]string, error) {
	out := make([]string, len(disks))
	for i, p := range disks {
		d, top, err := attached(devices, p.File)
		if err != nil {
			return nil, cdp.Wrap(err, op, subject)
		}
		if d == nil {
			return nil, cdp.Errorf(cdp.Transient, op, subject, "%s was attached, but is no longer", p.File)
		}
		if top.uuid == "" {
			return nil, cdp.Errorf(cdp.Conflict, op, subject, "the vCenter tells no UUID of %s", p.File)
		}
		out[i] = top.uuid
	}
	return out, nil
}

// tellApart gives the UUIDs of disks that are attached now. A disk and the
// snapshots it grew from have one UUID, and a guest finds disks by that: if one
// is there twice, what was not there before is detached again.
func (c *Client) tellApart(ctx context.Context, op string, ref types.ManagedObjectReference, disks []vms.Plug, before, now []types.BaseVirtualDevice) ([]string, error) {
	uuids, err := plugged(op, ref.String(), now, disks)
	if err != nil {
		return nil, err
	}
	one, other := twins(now, uuids)
	if one == "" {
		return uuids, nil
	}
	var undo []types.BaseVirtualDeviceConfigSpec
	for _, p := range disks {
		was, _, _ := attached(before, p.File)
		if is, _, _ := attached(now, p.File); was == nil && is != nil {
			undo = append(undo, change(types.VirtualDeviceConfigSpecOperationRemove, is))
		}
	}
	if len(undo) > 0 {
		if err := c.reconfigure(ctx, op, ref, types.VirtualMachineConfigSpec{DeviceChange: undo}); err != nil {
			return nil, err
		}
	}
	return nil, cdp.Errorf(cdp.Conflict, op, ref.String(), "%s and %s have the same UUID, so the guest could not tell them apart", one, other).
		WithHint("detach the one that is left over")
}

// twins are two files that have one UUID, which is among uuids; "" if none.
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

// namingHolders adds who has the files, where that can be found out.
func (c *Client) namingHolders(ctx context.Context, op string, ref types.ManagedObjectReference, disks []vms.Plug, err error) error {
	var who []string
	for _, p := range disks {
		for _, name := range c.holders(ctx, ref, p.File) {
			who = append(who, fmt.Sprintf("%s is attached to the VM %q", p.File, name))
		}
	}
	if len(who) == 0 {
		return err
	}
	return cdp.Errorf(cdp.Conflict, op, ref.String(), "%w; %s", err, strings.Join(who, "; ")).
		WithHint("detach it there first")
}
