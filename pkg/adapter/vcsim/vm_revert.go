package vcsim

import (
	"os"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

func (m *snapshotMethods) RevertToSnapshotTask(ctx *simulator.Context, req *types.RevertToSnapshot_Task) soap.HasFault {
	sn, vm := snapshotOf(ctx, req.This)
	if vm == nil {
		return &methods.RevertToSnapshot_TaskBody{Fault_: notFound(req.This)}
	}
	ref := m.s.run(ctx, vm.Self, "revertToSnapshot", func() (result, fault) { return nil, m.s.revert(ctx, vm, sn) })
	return &methods.RevertToSnapshot_TaskBody{Res: &types.RevertToSnapshot_TaskResponse{Returnval: ref}}
}

func (m *vmMethods) RevertToCurrentSnapshotTask(ctx *simulator.Context, req *types.RevertToCurrentSnapshot_Task) soap.HasFault {
	vm := vmOf(ctx, req.This)
	if vm == nil {
		return &methods.RevertToCurrentSnapshot_TaskBody{Fault_: notFound(req.This)}
	}
	var sn *simulator.VirtualMachineSnapshot
	ctx.WithLock(vm, func() {
		if vm.Snapshot != nil && vm.Snapshot.CurrentSnapshot != nil {
			sn, _ = ctx.Map.Get(*vm.Snapshot.CurrentSnapshot).(*simulator.VirtualMachineSnapshot)
		}
	})
	if sn == nil {
		return &methods.RevertToCurrentSnapshot_TaskBody{Fault_: soapFault(&types.NotFound{})}
	}
	ref := m.s.run(ctx, vm.Self, "revertToCurrentSnapshot", func() (result, fault) { return nil, m.s.revert(ctx, vm, sn) })
	return &methods.RevertToCurrentSnapshot_TaskBody{Res: &types.RevertToCurrentSnapshot_TaskResponse{Returnval: ref}}
}

// revert gives a VM that is off the disks of a snapshot again. What was written
// since the last snapshot is lost, and changed block tracking starts anew, unless
// Config.RevertKeepsCBT is set.
func (s *Site) revert(ctx *simulator.Context, vm *simulator.VirtualMachine, sn *simulator.VirtualMachineSnapshot) (f fault) {
	ctx.WithLock(vm, func() {
		if vm.Runtime.PowerState != types.VirtualMachinePowerStatePoweredOff {
			f = wrongPower(vm, types.VirtualMachinePowerStatePoweredOff)
			return
		}
		v := s.refresh(ctx, vm)
		if who, file := s.lockedBy(v.ref, v.disks); who != "" {
			f = fileLocked(file)
			return
		}
		old := s.chainsOf(v, nil)
		var devices []types.BaseVirtualDevice
		for _, d := range vm.Config.Hardware.Device {
			if x, ok := d.(*types.VirtualDisk); !ok || flat(x) == nil {
				devices = append(devices, d)
			}
		}
		for _, d := range disksOf(sn.Config.Hardware.Device) {
			if flat(d) == nil {
				continue
			}
			nd := *d
			if im, n := s.snapshotNode(sn.Self.Value, flat(d).Uuid); n != nil {
				if err := s.revertImage(im, n); err != nil {
					f = fileFault(n.name, err)
					return
				}
				nd.Backing = im.backing(*flat(d), im.live)
			}
			devices = append(devices, &nd)
		}
		ctx.Update(vm, append(devicesChanged(devices), types.PropertyChange{Name: "snapshot.currentSnapshot", Val: sn.Self}))
		f = s.consolidate(ctx, vm, old)
	})
	return f
}

// revertImage copies a frozen node's content to the flat file and puts a new
// live node under it. The old live node goes.
func (s *Site) revertImage(im *image, n *node) error {
	tmp := im.flat + ".revert"
	if err := cloneFile(tmp, n.file); err != nil {
		return err
	}
	if err := os.Rename(tmp, im.flat); err != nil {
		return err
	}
	child, err := s.child(im, n)
	if err != nil {
		return err
	}
	var track *tracker
	if s.cfg.RevertKeepsCBT && im.track != nil && im.track.id == n.cut.id {
		if track, err = im.track.backTo(n.cut.seq, im.flat); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if im.live != nil {
		s.dropNode(im, im.live)
	}
	im.nodes = append(im.nodes, child)
	im.live, im.track = child, track
	s.images[child.name] = im
	return nil
}
