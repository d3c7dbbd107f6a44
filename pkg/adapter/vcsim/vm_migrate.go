package vcsim

import (
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// MigrateVMTask is what the stock simulator lacks, RelocateVMTask what it does
// wrongly: hosts' lists of VMs.
func (m *vmMethods) MigrateVMTask(ctx *simulator.Context, req *types.MigrateVM_Task) soap.HasFault {
	vm := vmOf(ctx, req.This)
	if vm == nil {
		return &methods.MigrateVM_TaskBody{Fault_: notFound(req.This)}
	}
	ref := m.s.run(ctx, req.This, "migrate", func() (result, fault) { return nil, m.s.migrate(ctx, vm, req.Host, req.Pool) })
	return &methods.MigrateVM_TaskBody{Res: &types.MigrateVM_TaskResponse{Returnval: ref}}
}

func (m *vmMethods) RelocateVMTask(ctx *simulator.Context, req *types.RelocateVM_Task) soap.HasFault {
	vm := vmOf(ctx, req.This)
	if vm == nil {
		return &methods.RelocateVM_TaskBody{Fault_: notFound(req.This)}
	}
	ref := m.s.run(ctx, req.This, "relocate", func() (result, fault) {
		if req.Spec.Datastore != nil && (len(vm.Datastore) != 1 || *req.Spec.Datastore != vm.Datastore[0]) || len(req.Spec.Disk) > 0 {
			return nil, &types.NotSupported{} // storage vMotion is not simulated
		}
		return nil, m.s.migrate(ctx, vm, req.Spec.Host, req.Spec.Pool)
	})
	return &methods.RelocateVM_TaskBody{Res: &types.RelocateVM_TaskResponse{Returnval: ref}}
}

func (s *Site) migrate(ctx *simulator.Context, vm *simulator.VirtualMachine, host, pool *types.ManagedObjectReference) fault {
	if host == nil && pool == nil {
		return &types.InvalidArgument{InvalidProperty: "host"}
	}
	if host == nil {
		host = s.placeHost(ctx, *pool)
	}
	if host == nil {
		return &types.NoCompatibleHost{}
	}
	h, ok := ctx.Map.Get(*host).(*simulator.HostSystem)
	if !ok {
		return &types.ManagedObjectNotFound{Obj: *host}
	}
	v := s.refresh(ctx, vm)
	for _, d := range v.disks {
		for _, id := range d.filters {
			if !s.filterUsable(ctx, h.Self, id) {
				return &types.InvalidState{}
			}
		}
	}
	if h.Runtime.ConnectionState != types.HostSystemConnectionStateConnected || s.inMaintenance(ctx, *host) {
		return &types.InvalidState{}
	}
	s.moveVM(ctx, vm, *host)
	return nil
}

func (s *Site) moveVM(ctx *simulator.Context, vm *simulator.VirtualMachine, to types.ManagedObjectReference) {
	from := s.refresh(ctx, vm).host
	if from == to {
		return
	}
	s.shape.Lock()
	defer s.shape.Unlock()
	old, _ := ctx.Map.Get(from).(*simulator.HostSystem)
	h := ctx.Map.Get(to).(*simulator.HostSystem)
	if old != nil {
		ctx.WithLock(old, func() {
			var left []types.ManagedObjectReference
			for _, r := range old.Vm {
				if r != vm.Self {
					left = append(left, r)
				}
			}
			ctx.Update(old, []types.PropertyChange{{Name: "vm", Val: left}})
		})
	}
	ctx.WithLock(h, func() {
		ctx.Update(h, []types.PropertyChange{{Name: "vm", Val: append(h.Vm[:len(h.Vm):len(h.Vm)], vm.Self)}})
	})
	ctx.WithLock(vm, func() {
		ctx.Update(vm, []types.PropertyChange{
			{Name: "runtime.host", Val: &to},
			{Name: "summary.runtime.host", Val: &to},
		})
	})
	s.refresh(ctx, vm)
	ev := &types.VmMigratedEvent{VmEvent: types.VmEvent{Event: types.Event{
		Host: &types.HostEventArgument{Host: to, EntityEventArgument: types.EntityEventArgument{Name: h.Name}},
		Vm:   &types.VmEventArgument{Vm: vm.Self, EntityEventArgument: types.EntityEventArgument{Name: s.entityName(vm.Self)}},
	}}}
	ev.SourceDatastore, ev.SourceDatacenter = &types.DatastoreEventArgument{}, &types.DatacenterEventArgument{}
	if old != nil {
		ev.SourceHost = types.HostEventArgument{Host: from, EntityEventArgument: types.EntityEventArgument{Name: old.Name}}
	}
	s.post(ctx, ev)
}
