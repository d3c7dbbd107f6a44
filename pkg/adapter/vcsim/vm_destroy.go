package vcsim

import (
	"os"
	"path"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

func (m *vmMethods) DestroyTask(ctx *simulator.Context, req *types.Destroy_Task) soap.HasFault {
	vm := vmOf(ctx, req.This)
	if vm == nil {
		return &methods.Destroy_TaskBody{Fault_: notFound(req.This)}
	}
	ref := m.s.run(ctx, req.This, "destroy", func() (result, fault) { return nil, m.s.destroy(ctx, vm) })
	return &methods.Destroy_TaskBody{Res: &types.Destroy_TaskResponse{Returnval: ref}}
}

// destroy removes a VM with its disks: every disk that is attached, whoever made
// it, and none that is not, even in the VM's directory. The stock method deletes
// the directory.
func (s *Site) destroy(ctx *simulator.Context, vm *simulator.VirtualMachine) fault {
	v := s.refresh(ctx, vm)
	var body soap.HasFault
	var snaps []types.ManagedObjectReference
	var vmx, logs string
	ctx.WithLock(vm, func() {
		vmx, logs = vm.Config.Files.VmPathName, vm.Config.Files.LogDirectory
		if vm.Snapshot != nil {
			snaps = treeRefs(vm.Snapshot.RootSnapshotList)
		}
		body = s.unregister(ctx, vm, &types.UnregisterVM{This: vm.Self})
	})
	if f := body.Fault(); f != nil {
		return f.VimFault().(fault)
	}
	for _, d := range v.disks {
		s.destroyDisk(v.ref, d.file, true)
	}
	for _, ref := range snaps {
		ctx.Map.Remove(ctx, ref)
	}
	if file, err := s.local(vmx); err == nil {
		dir := path.Dir(file)
		_ = os.Remove(file)
		_ = os.Remove(path.Join(dir, v.name+".nvram"))
		if l, err := s.local(logs); err == nil {
			_ = os.Remove(path.Join(l, "vmware.log"))
		}
		for _, e := range dirEntries(dir) {
			if path.Ext(e) == ".vmsn" {
				_ = os.Remove(path.Join(dir, e))
			}
		}
		_ = os.Remove(dir) // only if nothing foreign is left in it
	}
	s.forget(v)
	return nil
}

func (s *Site) unregister(ctx *simulator.Context, vm *simulator.VirtualMachine, req *types.UnregisterVM) soap.HasFault {
	s.shape.Lock()
	defer s.shape.Unlock()
	return vm.UnregisterVM(ctx, req)
}

func dirEntries(dir string) []string {
	l, _ := os.ReadDir(dir)
	var names []string
	for _, e := range l {
		names = append(names, e.Name())
	}
	return names
}

func (m *vmMethods) UnregisterVM(ctx *simulator.Context, req *types.UnregisterVM) soap.HasFault {
	vm := vmOf(ctx, req.This)
	if vm == nil {
		return &methods.UnregisterVMBody{Fault_: notFound(req.This)}
	}
	m.s.storage.Lock()
	defer m.s.storage.Unlock()
	v := m.s.refresh(ctx, vm)
	var body soap.HasFault
	ctx.WithLock(vm, func() { body = m.s.unregister(ctx, vm, req) })
	if body.Fault() == nil {
		m.s.forget(v)
	}
	return body
}
