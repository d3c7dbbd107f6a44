package vsphere

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
)

// AttachFilter attaches a filter to disks, by device key, with the parameters for
// each. With a policy (its name or id) the filter is attached by the policy,
// otherwise directly. A disk that already has it is left alone.
func (c *Client) AttachFilter(ctx context.Context, vm inventory.Ref, filter, policy string, disks map[int32]map[string]string) error {
	const op = "attach the I/O filter to"
	ref, err := vmRef(vm)
	if err != nil {
		return err
	}
	if err := c.filterable(op, string(vm)); err != nil {
		return err
	}
	if policy != "" {
		if policy, err = c.policyID(ctx, op, policy); err != nil {
			return err
		}
	}
	err = c.refilter(ctx, op, ref, slices.Sorted(maps.Keys(disks)), func(d *types.VirtualDisk) (*types.VirtualDeviceConfigSpec, error) {
		if slices.ContainsFunc(d.Iofilter, func(id string) bool { return inventory.SameFilter(id, filter) }) {
			return nil, nil
		}
		spec := edit(d)
		told := keyValues(disks[d.Key])
		if policy != "" {
			spec.Profile = []types.BaseVirtualMachineProfileSpec{&types.VirtualMachineDefinedProfileSpec{ProfileId: policy, ProfileParams: told}}
		} else {
			spec.FilterSpec = []types.BaseVirtualMachineBaseIndependentFilterSpec{
				&types.VirtualMachineIndependentFilterSpec{FilterName: filter, FilterCapabilities: told},
			}
		}
		return spec, nil
	})
	if _, ok := errors.AsType[deviceError](err); ok {
		return c.lacksFilter(ctx, op, ref, filter, err)
	}
	return err
}

// lacksFilter is err, or says that the VM's host does not have the filter.
func (c *Client) lacksFilter(ctx context.Context, op string, vm types.ManagedObjectReference, filter string, err error) error {
	m, lerr := c.load(ctx, op, vm, "name", "runtime.host")
	if lerr != nil || m.Runtime.Host == nil {
		return err
	}
	var h mo.HostSystem
	lerr = c.do(ctx, op, vm.String(), func(ctx context.Context, v *vim25.Client) error {
		h = mo.HostSystem{}
		return property.DefaultCollector(v).RetrieveOne(ctx, *m.Runtime.Host, []string{"name", "config.ioFilterInfo"}, &h)
	})
	name := inventory.Unescape(m.Name)
	if lerr != nil || h.Config != nil && slices.ContainsFunc(h.Config.IoFilterInfo, func(i types.HostIoFilterInfo) bool {
		return i.Available && (i.Name == filter || inventory.SameFilter(i.Id, filter))
	}) {
		return cdp.Wrap(err, op, "VM "+name)
	}
	return cdp.Errorf(cdp.Conflict, op, "VM "+name, "the filter %s is not installed on its host %s, or does not work there", filter, inventory.Unescape(h.Name)).
		WithHint("see where it is installed: tidemark iofilter status")
}

// DetachFilter detaches a filter from disks. A disk without it, or that does not
// exist, is left alone. Conflict: another filter is on the disk and would be
// detached too.
func (c *Client) DetachFilter(ctx context.Context, vm inventory.Ref, filter string, disks []int32) error {
	const op = "detach the I/O filter from"
	ref, err := vmRef(vm)
	if err != nil {
		return err
	}
	if err := c.filterable(op, string(vm)); err != nil {
		return err
	}
	return c.refilter(ctx, op, ref, disks, func(d *types.VirtualDisk) (*types.VirtualDeviceConfigSpec, error) {
		if d == nil || !slices.ContainsFunc(d.Iofilter, func(id string) bool { return inventory.SameFilter(id, filter) }) {
			return nil, nil
		}
		for _, id := range d.Iofilter {
			if !inventory.SameFilter(id, filter) {
				return nil, cdp.Errorf(cdp.Conflict, op, labelOf(d), "the filter %s is also attached to the disk, and would be detached with it", id).
					WithHint("give the disk a storage policy with only the filter that must stay")
			}
		}
		byPolicy, err := c.byPolicy(ctx, op, ref, d.Key, filter)
		if err != nil {
			return nil, err
		}
		spec := edit(d)
		if byPolicy {
			spec.Profile = []types.BaseVirtualMachineProfileSpec{&types.VirtualMachineEmptyProfileSpec{}}
		} else {
			spec.FilterSpec = []types.BaseVirtualMachineBaseIndependentFilterSpec{&types.VirtualMachineEmptyIndependentFilterSpec{}}
		}
		return spec, nil
	})
}

// refilter changes several disks at once. how returns the change of a disk, nil for
// none; it gets nil for a disk that does not exist.
func (c *Client) refilter(ctx context.Context, op string, ref types.ManagedObjectReference, keys []int32, how func(*types.VirtualDisk) (*types.VirtualDeviceConfigSpec, error)) error {
	unlock, err := c.locks.Lock(ctx, ref)
	if err != nil {
		return c.fail(ctx, op, ref.String(), err)
	}
	defer unlock()
	return c.rework(ctx, op, ref, func(m mo.VirtualMachine) (*types.VirtualMachineConfigSpec, error) {
		has := disksOf(m.Config.Hardware.Device)
		var spec types.VirtualMachineConfigSpec
		for _, key := range keys {
			i := slices.IndexFunc(has, func(d *types.VirtualDisk) bool { return d.Key == key })
			var d *types.VirtualDisk
			if i >= 0 {
				d = has[i]
			} else if strings.HasPrefix(op, "attach") {
				return nil, cdp.Errorf(cdp.NotFound, op, ref.String(), "it has no disk %d", key)
			}
			s, err := how(d)
			if err != nil {
				return nil, err
			}
			if s != nil {
				spec.DeviceChange = append(spec.DeviceChange, s)
			}
		}
		if len(spec.DeviceChange) == 0 {
			return nil, nil
		}
		return &spec, nil
	})
}

func (c *Client) filterable(op, subject string) error {
	if c.about.ESX || c.v.ServiceContent.IoFilterManager == nil {
		return cdp.Errorf(cdp.Conflict, op, subject, "only a vCenter manages I/O filters, and this is a single ESXi host")
	}
	return nil
}

func edit(d *types.VirtualDisk) *types.VirtualDeviceConfigSpec {
	return &types.VirtualDeviceConfigSpec{Operation: types.VirtualDeviceConfigSpecOperationEdit, Device: d}
}

func keyValues(m map[string]string) []types.KeyValue {
	out := make([]types.KeyValue, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, types.KeyValue{Key: k, Value: m[k]})
	}
	return out
}
