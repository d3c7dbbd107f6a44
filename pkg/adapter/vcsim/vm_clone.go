package vcsim

import (
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// CloneVMTask also copies the disks' content.
func (m *vmMethods) CloneVMTask(ctx *simulator.Context, req *types.CloneVM_Task) soap.HasFault {
	vm := vmOf(ctx, req.This)
	if vm == nil {
		return &methods.CloneVM_TaskBody{Fault_: notFound(req.This)}
	}
	ref := m.s.run(ctx, req.This, "cloneVm", func() (r result, f fault) {
		m.s.making(ctx, func() { r, f = m.s.clone(ctx, vm, req) })
		return r, f
	})
	return &methods.CloneVM_TaskBody{Res: &types.CloneVM_TaskResponse{Returnval: ref}}
}

func (s *Site) clone(ctx *simulator.Context, vm *simulator.VirtualMachine, req *types.CloneVM_Task) (result, fault) {
	from := s.refresh(ctx, vm)
	var res *methods.CloneVM_TaskBody
	ctx.WithLock(vm, func() { res = vm.CloneVMTask(ctx, req).(*methods.CloneVM_TaskBody) })
	if res.Fault_ != nil {
		return nil, res.Fault_.VimFault().(fault)
	}
	r, f := inner(ctx, res.Res.Returnval)
	if f != nil {
		return nil, f
	}
	clone := vmOf(ctx, r.(types.ManagedObjectReference))
	ownDevices(ctx, clone)
	return r, s.cloneDisks(ctx, from, clone)
}

func (s *Site) cloneDisks(ctx *simulator.Context, from *vmState, clone *simulator.VirtualMachine) (failed fault) {
	i := 0
	s.editDisks(ctx, clone, func(d *types.VirtualDisk, b *types.VirtualDiskFlatVer2BackingInfo) {
		if i >= len(from.disks) {
			return
		}
		src := from.disks[i]
		i++
		b.Uuid, b.FileName = newDiskUUID(), canonical(b.FileName)
		file, err := s.local(b.FileName)
		if err == nil {
			var flat string
			if flat, err = s.FlatPath(src.file); err == nil {
				err = cloneFile(flatName(file), flat)
			}
		}
		if err == nil {
			err = s.adopt(b.FileName, src.size, b.Uuid)
		}
		if err != nil {
			failed = fileFault(b.FileName, err)
		}
	})
	s.refresh(ctx, clone)
	return failed
}
