package vsphere

import (
	"context"

	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
)

// Extend makes a disk that is attached to a VM, which may be running, at least size bytes
// long. NotFound: it is not attached. Conflict: a snapshot lies over it.
func (c *Client) Extend(ctx context.Context, vm inventory.Ref, file string, size int64) error {
	const op = "extend disk"
	ref, err := vmRef(vm)
	if err != nil {
		return err
	}
	unlock, err := c.locks.Lock(ctx, ref) // rework waits for what still runs
	if err != nil {
		return c.fail(ctx, op, ref.String(), err)
	}
	defer unlock()
	return c.rework(ctx, op, ref, func(m mo.VirtualMachine) (*types.VirtualMachineConfigSpec, error) {
		d, _, err := attached(m.Config.Hardware.Device, file)
		switch {
		case err != nil:
			return nil, cdp.Wrap(err, op, ref.String())
		case d == nil:
			return nil, cdp.Errorf(cdp.NotFound, op, file, "it is not attached to %s", ref)
		case d.CapacityInBytes >= size:
			return nil, nil
		}
		d.CapacityInBytes, d.CapacityInKB = size, (size+1023)/1024
		return &types.VirtualMachineConfigSpec{DeviceChange: []types.BaseVirtualDeviceConfigSpec{
			change(types.VirtualDeviceConfigSpecOperationEdit, d)}}, nil
	})
}
