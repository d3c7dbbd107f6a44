package vcsim

import (
	"reflect"
	"slices"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"
)

// The simulator gives every VM the same default controllers, package globals,
// and adding a network card writes to one of them. So a VM is made without its
// cards, under buildMu; its devices are replaced by copies; then the cards are
// added.

// withoutCards takes the network cards out of a new VM's devices.
func withoutCards(changes []types.BaseVirtualDeviceConfigSpec) (rest, cards []types.BaseVirtualDeviceConfigSpec) {
	for _, c := range changes {
		if _, ok := c.GetVirtualDeviceConfigSpec().Device.(types.BaseVirtualEthernetCard); ok {
			cards = append(cards, c)
		} else {
			rest = append(rest, c)
		}
	}
	return rest, cards
}

// ownDevices gives a VM copies of its devices.
func ownDevices(ctx *simulator.Context, vm *simulator.VirtualMachine) {
	ctx.WithLock(vm, func() {
		devices := make([]types.BaseVirtualDevice, len(vm.Config.Hardware.Device))
		for i, d := range vm.Config.Hardware.Device {
			p := reflect.New(reflect.TypeOf(d).Elem())
			p.Elem().Set(reflect.ValueOf(d).Elem())
			devices[i] = p.Interface().(types.BaseVirtualDevice)
			if c, ok := devices[i].(types.BaseVirtualController); ok {
				vc := c.GetVirtualController()
				vc.Device = slices.Clone(vc.Device)
			}
		}
		ctx.Update(vm, devicesChanged(devices))
	})
}

// addCards adds the cards a VM was made without.
func addCards(ctx *simulator.Context, vm *simulator.VirtualMachine, cards []types.BaseVirtualDeviceConfigSpec) (f fault) {
	if len(cards) == 0 {
		return nil
	}
	ctx.WithLock(vm, func() {
		req := &types.ReconfigVM_Task{This: vm.Self, Spec: types.VirtualMachineConfigSpec{DeviceChange: cards}}
		_, f = inner(ctx, vm.ReconfigVMTask(ctx, req).(*methods.ReconfigVM_TaskBody).Res.Returnval)
	})
	return f
}
