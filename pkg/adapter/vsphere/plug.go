package vsphere

import (
	"context"
	"maps"

	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
)

// Plug attaches disks to a VM, which may be running, in one change, and returns
// their UUIDs in order. A disk that is already attached stays where it is.
// Conflict: a slot is taken, a file is locked, another disk than the expected one is
// at that path, or a disk with the same UUID is attached, so that the guest could not
// tell them apart.
func (c *Client) Plug(ctx context.Context, vm inventory.Ref, disks []inventory.Plug) ([]string, error) {
	return c.swap(ctx, vm, &swap{op: "attach disks", plug: disks})
}

// Unplug detaches disks by file and keeps the files. It is no error if one is not
// attached.
func (c *Client) Unplug(ctx context.Context, vm inventory.Ref, files []string) error {
	_, err := c.swap(ctx, vm, &swap{op: "detach disks", unplug: files})
	return err
}

// putIn attaches disks. Call with the VM's lock held.
func (c *Client) putIn(ctx context.Context, op string, ref types.ManagedObjectReference, disks []inventory.Plug) ([]string, error) {
	between := betweenTries()
	for try := 1; ; try++ {
		m, err := c.settledConfig(ctx, op, ref)
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
		// A process that changes the VM's devices at the same time would choose the
		// same slots: then the vCenter refuses the later one.
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
		if err := between.Wait(ctx); err != nil {
			return nil, c.fail(ctx, op, ref.String(), err)
		}
	}
}

// moved reports whether other slots are taken now than before.
func (c *Client) moved(ctx context.Context, op string, ref types.ManagedObjectReference, were []types.BaseVirtualDevice) bool {
	m, err := c.config(ctx, op, ref)
	return err == nil && !maps.Equal(newBay(m.Config.Hardware.Device, "").taken, newBay(were, "").taken)
}

// takeOut removes disks from a VM's devices; their files stay. Call with the VM's lock
// held.
func (c *Client) takeOut(ctx context.Context, op string, ref types.ManagedObjectReference, files []string) error {
	return c.rework(ctx, op, ref, func(m mo.VirtualMachine) (*types.VirtualMachineConfigSpec, error) {
		outs, err := unplugging(m.Config.Hardware.Device, files)
		if err != nil || len(outs) == 0 {
			return nil, cdp.Wrap(err, op, ref.String())
		}
		return &types.VirtualMachineConfigSpec{DeviceChange: outs}, nil
	})
}

// plugging is the change that attaches those of the disks that are not attached.
func plugging(devices []types.BaseVirtualDevice, version string, disks []inventory.Plug) ([]types.BaseVirtualDeviceConfigSpec, error) {
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
	// Disks with an address come first, so that no other disk takes their slot.
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

// existingDisk is a device without a capacity: with one, a new file would be made.
func existingDisk(p inventory.Plug, at place, key int32) *types.VirtualDisk {
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
