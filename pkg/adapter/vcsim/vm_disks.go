package vcsim

import (
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// diskPlan is what a change of devices means for disks, worked out before the
// simulator applies it and done after.
type diskPlan struct {
	created map[string]bool   // UUIDs of new disks
	grown   map[int32]int64   // by key
	destroy []string          // files
	filters map[string]filter // by disk UUID, or by key when edited
	edited  map[int32]filter
}

// filter is the filters a disk shall have.
type filter struct {
	ids    []string
	params map[string]map[string]string
}

func specFault(i int, property string) fault {
	return &types.InvalidDeviceSpec{InvalidVmConfig: types.InvalidVmConfig{Property: property}, DeviceIndex: int32(i)}
}

// planDisks checks the device changes of a VM, or of a new one (vm nil), and
// completes them: sizes and UUIDs of existing files, parents of a chain.
func (s *Site) planDisks(ctx *simulator.Context, vm *simulator.VirtualMachine, host types.ManagedObjectReference, changes []types.BaseVirtualDeviceConfigSpec) (*diskPlan, fault) {
	p := &diskPlan{created: map[string]bool{}, grown: map[int32]int64{}, filters: map[string]filter{}, edited: map[int32]filter{}}
	var have []*types.VirtualDisk
	var v *vmState
	if vm != nil {
		v = s.refresh(ctx, vm)
		ctx.WithLock(vm, func() { have = disksOf(vm.Config.Hardware.Device) })
	}
	for i, bc := range changes {
		c := bc.GetVirtualDeviceConfigSpec()
		if f := s.checkNetwork(i, c); f != nil {
			return nil, f
		}
		d, ok := c.Device.(*types.VirtualDisk)
		if !ok {
			continue
		}
		var old *types.VirtualDisk
		for _, h := range have {
			if h.Key == d.Key {
				old = h
			}
		}
		var f fault
		switch c.Operation {
		case types.VirtualDeviceConfigSpecOperationAdd:
			f = s.planAdd(p, v, i, c, d)
		case types.VirtualDeviceConfigSpecOperationEdit:
			f = s.planEdit(p, i, c, d, old)
		case types.VirtualDeviceConfigSpecOperationRemove:
			if old == nil {
				return nil, &types.DeviceNotFound{InvalidDeviceSpec: *specFault(i, "device.key").(*types.InvalidDeviceSpec)}
			}
			if b := flat(old); b != nil && c.FileOperation == types.VirtualDeviceConfigSpecFileOperationDestroy {
				p.destroy = append(p.destroy, b.FileName)
				c.FileOperation = ""
			}
		}
		if f == nil && c.Operation != types.VirtualDeviceConfigSpecOperationRemove {
			f = s.planFilters(ctx, p, host, i, c, d)
		}
		if f != nil {
			return nil, f
		}
	}
	return p, nil
}

func (s *Site) planAdd(p *diskPlan, v *vmState, i int, c *types.VirtualDeviceConfigSpec, d *types.VirtualDisk) fault {
	b := flat(d)
	if b == nil {
		return nil
	}
	if b.DiskMode == "" {
		b.DiskMode = string(types.VirtualDiskModePersistent)
	}
	var path object.DatastorePath
	if b.FileName != "" && path.FromString(b.FileName) {
		if _, err := s.datastoreDir(path.Datastore); err != nil {
			return &types.InvalidDatastore{Name: path.Datastore}
		}
	}
	if c.FileOperation != "" {
		if d.CapacityInBytes <= 0 && d.CapacityInKB <= 0 {
			return specFault(i, "device.capacityInKB")
		}
		if path.Path != "" {
			b.FileName = canonical(b.FileName)
		}
		b.Uuid = newDiskUUID()
		p.created[b.Uuid] = true
		return nil
	}
	im, n, err := s.open(b.FileName)
	if err != nil {
		return fileFault(b.FileName, err)
	}
	if im.live != n && !nonpersistent(b.DiskMode) {
		return fileLocked(b.FileName) // writing to it would spoil a snapshot
	}
	disk := vmDisk{file: n.name, shared: nonpersistent(b.DiskMode)}
	if v != nil {
		for _, x := range v.disks {
			if x.file == n.name {
				return specFault(i, "device.backing.fileName")
			}
		}
		if v.on {
			if who, file := s.lockedBy(v.ref, []vmDisk{disk}); who != "" {
				return fileLocked(file)
			}
		}
	}
	mode := *b
	d.Backing = im.backing(mode, n)
	d.CapacityInBytes, d.CapacityInKB = im.size, im.size/1024
	return nil
}

func (s *Site) planEdit(p *diskPlan, i int, c *types.VirtualDeviceConfigSpec, d, old *types.VirtualDisk) fault {
	if old == nil {
		return &types.DeviceNotFound{InvalidDeviceSpec: *specFault(i, "device.key").(*types.InvalidDeviceSpec)}
	}
	c.FileOperation = ""
	d.Iofilter = old.Iofilter
	if d.DeviceInfo == nil {
		d.DeviceInfo = old.DeviceInfo
	}
	if d.ControllerKey == 0 {
		d.ControllerKey, d.UnitNumber = old.ControllerKey, old.UnitNumber
	}
	size := max(d.CapacityInBytes, d.CapacityInKB*1024)
	if d.CapacityInKB*1024 != old.CapacityInBytes && d.CapacityInBytes == old.CapacityInBytes && d.CapacityInKB != 0 {
		size = d.CapacityInKB * 1024
	}
	if size == 0 {
		size = old.CapacityInBytes
	}
	d.CapacityInBytes, d.CapacityInKB = size, size/1024
	ob := flat(old)
	if ob == nil {
		return nil
	}
	nb := *ob
	if b := flat(d); b != nil && b.DiskMode != "" {
		nb.DiskMode = b.DiskMode
	}
	d.Backing = &nb
	if size > old.CapacityInBytes {
		if nb.Parent != nil {
			return &types.InvalidDeviceOperation{InvalidDeviceSpec: *specFault(i, "device.capacityInKB").(*types.InvalidDeviceSpec)}
		}
		p.grown[d.Key] = size
	}
	return nil
}

// checkNetwork refuses what would make the simulator panic.
func (s *Site) checkNetwork(i int, c *types.VirtualDeviceConfigSpec) fault {
	n, ok := c.Device.(types.BaseVirtualEthernetCard)
	if !ok || c.Operation == types.VirtualDeviceConfigSpecOperationRemove {
		return nil
	}
	b, ok := n.GetVirtualEthernetCard().Backing.(*types.VirtualEthernetCardNetworkBackingInfo)
	if !ok || s.hasNetwork(b.DeviceName) {
		return nil
	}
	return &types.InvalidDeviceBacking{InvalidDeviceSpec: *specFault(i, "device.backing.deviceName").(*types.InvalidDeviceSpec)}
}
