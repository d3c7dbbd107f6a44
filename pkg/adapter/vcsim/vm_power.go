package vcsim

import (
	"fmt"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

func (m *vmMethods) PowerOnVMTask(ctx *simulator.Context, req *types.PowerOnVM_Task) soap.HasFault {
	vm := vmOf(ctx, req.This)
	if vm == nil {
		return &methods.PowerOnVM_TaskBody{Fault_: notFound(req.This)}
	}
	ref := m.s.run(ctx, req.This, "powerOn", func() (result, fault) { return nil, m.s.powerOn(ctx, vm) })
	return &methods.PowerOnVM_TaskBody{Res: &types.PowerOnVM_TaskResponse{Returnval: ref}}
}

func (m *vmMethods) PowerOffVMTask(ctx *simulator.Context, req *types.PowerOffVM_Task) soap.HasFault {
	vm := vmOf(ctx, req.This)
	if vm == nil {
		return &methods.PowerOffVM_TaskBody{Fault_: notFound(req.This)}
	}
	ref := m.s.run(ctx, req.This, "powerOff", func() (result, fault) { return nil, m.s.powerOff(ctx, vm, true) })
	return &methods.PowerOffVM_TaskBody{Res: &types.PowerOffVM_TaskResponse{Returnval: ref}}
}

func (m *vmMethods) ResetVMTask(ctx *simulator.Context, req *types.ResetVM_Task) soap.HasFault {
	vm := vmOf(ctx, req.This)
	if vm == nil {
		return &methods.ResetVM_TaskBody{Fault_: notFound(req.This)}
	}
	ref := m.s.run(ctx, req.This, "reset", func() (result, fault) {
		if f := m.s.powerOff(ctx, vm, true); f != nil {
			return nil, f
		}
		return nil, m.s.powerOn(ctx, vm)
	})
	return &methods.ResetVM_TaskBody{Res: &types.ResetVM_TaskResponse{Returnval: ref}}
}

// ShutdownGuest answers at once; the VM is off some time later.
func (m *vmMethods) ShutdownGuest(ctx *simulator.Context, req *types.ShutdownGuest) soap.HasFault {
	vm := vmOf(ctx, req.This)
	if vm == nil {
		return &methods.ShutdownGuestBody{Fault_: notFound(req.This)}
	}
	var f fault
	ctx.WithLock(vm, func() {
		switch {
		case vm.Runtime.PowerState != types.VirtualMachinePowerStatePoweredOn:
			f = wrongPower(vm, types.VirtualMachinePowerStatePoweredOn)
		case vm.Guest.ToolsRunningStatus != string(types.VirtualMachineToolsRunningStatusGuestToolsRunning):
			f = &types.ToolsUnavailable{}
		}
	})
	if f != nil {
		return &methods.ShutdownGuestBody{Fault_: soapFault(f)}
	}
	m.s.run(ctx, req.This, "shutdownGuest", func() (result, fault) { return nil, m.s.powerOff(ctx, vm, true) })
	return &methods.ShutdownGuestBody{Res: &types.ShutdownGuestResponse{}}
}

type datacenterMethods struct{ target }

// PowerOnMultiVMTask is how the vSphere client powers on. Each VM gets a task.
func (m *datacenterMethods) PowerOnMultiVMTask(ctx *simulator.Context, req *types.PowerOnMultiVM_Task) soap.HasFault {
	ref := m.s.run(ctx, req.This, "powerOnMultiVM", func() (result, fault) {
		var r types.ClusterPowerOnVmResult
		for _, ref := range req.Vm {
			vm := vmOf(ctx, ref)
			if vm == nil {
				continue
			}
			f := m.s.disabledMethod(ref, "PowerOnVM_Task")
			if f == nil {
				f = m.s.powerOn(ctx, vm)
			}
			if f != nil {
				r.NotAttempted = append(r.NotAttempted, types.ClusterNotAttemptedVmInfo{
					Vm: ref, Fault: types.LocalizedMethodFault{Fault: f, LocalizedMessage: fmt.Sprintf("%T", f)},
				})
				continue
			}
			r.Attempted = append(r.Attempted, types.ClusterAttemptedVmInfo{Vm: ref})
		}
		return r, nil
	})
	return &methods.PowerOnMultiVM_TaskBody{Res: &types.PowerOnMultiVM_TaskResponse{Returnval: ref}}
}

func wrongPower(vm *simulator.VirtualMachine, want types.VirtualMachinePowerState) fault {
	return &types.InvalidPowerState{RequestedState: want, ExistingState: vm.Runtime.PowerState}
}

// powerOn is a power-on with storage held: disks are opened, the hypervisor is
// told, and only then the state changes.
func (s *Site) powerOn(ctx *simulator.Context, vm *simulator.VirtualMachine) fault {
	v := s.refresh(ctx, vm)
	if v.on {
		return wrongPower(vm, types.VirtualMachinePowerStatePoweredOn)
	}
	for _, d := range v.disks {
		if _, _, err := s.open(d.file); err != nil {
			return fileFault(d.file, err)
		}
	}
	if who, file := s.lockedBy(v.ref, v.disks); who != "" {
		return fileLocked(file)
	}
	for _, d := range v.disks {
		for _, id := range d.filters {
			if !s.filterUsable(ctx, v.host, id) {
				return &types.InvalidDeviceSpec{InvalidVmConfig: types.InvalidVmConfig{Property: "iofilter"}}
			}
		}
	}
	var f fault
	ctx.WithLock(vm, func() {
		h, _ := ctx.Map.Get(v.host).(*simulator.HostSystem)
		if h != nil && h.Runtime.InMaintenanceMode {
			f = &types.InvalidState{}
			return
		}
		if s.cfg.OnPower != nil {
			if err := s.cfg.OnPower(s.event(ctx, vm, v, true)); err != nil {
				f = systemError(err)
				return
			}
		}
		res := vm.PowerOnVMTask(ctx, &types.PowerOnVM_Task{This: vm.Self}).(*methods.PowerOnVM_TaskBody)
		if res.Fault_ != nil {
			f = res.Fault_.VimFault().(fault)
			return
		}
		_, f = inner(ctx, res.Res.Returnval)
	})
	if f != nil {
		return f
	}
	v = s.refresh(ctx, vm)
	s.startFilters(ctx, vm, v)
	return nil
}

// powerOff tells the hypervisor first: the disks' locks must not go before the
// guest is gone.
func (s *Site) powerOff(ctx *simulator.Context, vm *simulator.VirtualMachine, tell bool) fault {
	v := s.refresh(ctx, vm)
	var f fault
	ctx.WithLock(vm, func() {
		if vm.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOff {
			f = wrongPower(vm, types.VirtualMachinePowerStatePoweredOff)
			return
		}
		if tell && s.cfg.OnPower != nil {
			if err := s.cfg.OnPower(s.event(ctx, vm, v, false)); err != nil {
				f = systemError(err)
				return
			}
		}
		res := vm.PowerOffVMTask(ctx, &types.PowerOffVM_Task{This: vm.Self}).(*methods.PowerOffVM_TaskBody)
		if _, f = inner(ctx, res.Res.Returnval); f == nil {
			ctx.Update(vm, toolsChanges(vm, false, nil))
		}
	})
	s.refresh(ctx, vm)
	return f
}

// GuestStopped says that a VM's guest ended by itself: the VM is off, and
// OnPower is not called.
func (s *Site) GuestStopped(vm string) error {
	o, _, err := s.find(vm)
	if err != nil {
		return err
	}
	s.storage.Lock()
	defer s.storage.Unlock()
	if f := s.powerOff(s.context(), o, false); f != nil {
		return soap.WrapVimFault(f)
	}
	return nil
}

// event is the VM as a hook sees it.
func (s *Site) event(ctx *simulator.Context, vm *simulator.VirtualMachine, v *vmState, on bool) PowerEvent {
	ev := PowerEvent{On: on, VM: v.name, UUID: v.uuid, Ref: v.ref.Value, Extra: map[string]string{}}
	for _, d := range v.disks {
		file, _ := s.FlatPath(d.file)
		ev.Disks = append(ev.Disks, PowerDisk{
			Label: d.label, Key: d.key, UUID: d.uuid, File: d.file, Flat: file, Size: d.size, Mode: d.mode, Filters: d.filters,
		})
	}
	if h, ok := ctx.Map.Get(v.host).(*simulator.HostSystem); ok {
		ev.Host = h.Name
	}
	ctx.WithLock(vm, func() {
		ev.Firmware, ev.CPUs, ev.MemoryMB = vm.Config.Firmware, vm.Config.Hardware.NumCPU, int64(vm.Config.Hardware.MemoryMB)
		for _, o := range vm.Config.ExtraConfig {
			kv := o.GetOptionValue()
			ev.Extra[kv.Key] = fmt.Sprint(kv.Value)
		}
		for _, d := range vm.Config.Hardware.Device {
			n, ok := d.(types.BaseVirtualEthernetCard)
			if !ok {
				continue
			}
			card := n.GetVirtualEthernetCard()
			ev.NICs = append(ev.NICs, PowerNIC{Key: card.Key, Kind: kindOf(d), MAC: card.MacAddress, Network: s.networkOf(ctx, card)})
		}
	})
	return ev
}

func kindOf(d any) string { return fmt.Sprintf("%T", d)[len("*types."):] }
