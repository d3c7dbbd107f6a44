package vcsim

import (
	"github.com/google/uuid"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

type vmMethods struct{ target }
type folderMethods struct{ target }

func (m *folderMethods) CreateVMTask(ctx *simulator.Context, req *types.CreateVM_Task) soap.HasFault {
	f, ok := ctx.Map.Get(req.This).(*simulator.Folder)
	if !ok {
		return &methods.CreateVM_TaskBody{Fault_: notFound(req.This)}
	}
	ref := m.s.run(ctx, req.This, "createVm", func() (result, fault) { return m.s.createVM(ctx, f, req) })
	return &methods.CreateVM_TaskBody{Res: &types.CreateVM_TaskResponse{Returnval: ref}}
}

func (s *Site) createVM(ctx *simulator.Context, f *simulator.Folder, req *types.CreateVM_Task) (result, fault) {
	if fl := s.checkNewVM(ctx, f, req); fl != nil {
		return nil, fl
	}
	plan, fl := s.planDisks(ctx, nil, *req.Host, req.Config.DeviceChange)
	if fl != nil {
		return nil, fl
	}
	rest, cards := withoutCards(req.Config.DeviceChange)
	req.Config.DeviceChange = rest
	r, fl := s.stockCreate(ctx, f, req)
	if fl != nil {
		return nil, fl
	}
	vm := vmOf(ctx, r.(types.ManagedObjectReference))
	if fl = addCards(ctx, vm, cards); fl == nil {
		_, fl = s.applyPlan(ctx, vm, plan)
	}
	return r, fl
}

func (s *Site) stockCreate(ctx *simulator.Context, f *simulator.Folder, req *types.CreateVM_Task) (r result, fl fault) {
	s.making(ctx, func() {
		ctx.WithLock(f, func() {
			r, fl = inner(ctx, f.CreateVMTask(ctx, req).(*methods.CreateVM_TaskBody).Res.Returnval)
		})
		if fl == nil {
			ownDevices(ctx, vmOf(ctx, r.(types.ManagedObjectReference)))
		}
	})
	return r, fl
}

// RegisterVMTask is the stock one, which keeps nothing of the VM's configuration
// but its name: disks must be attached again.
func (m *folderMethods) RegisterVMTask(ctx *simulator.Context, req *types.RegisterVM_Task) soap.HasFault {
	f, ok := ctx.Map.Get(req.This).(*simulator.Folder)
	if !ok {
		return &methods.RegisterVM_TaskBody{Fault_: notFound(req.This)}
	}
	ref := m.s.run(ctx, req.This, "registerVm", func() (r result, fl fault) {
		m.s.making(ctx, func() {
			ctx.WithLock(f, func() {
				r, fl = inner(ctx, f.RegisterVMTask(ctx, req).(*methods.RegisterVM_TaskBody).Res.Returnval)
			})
			if fl == nil {
				vm := vmOf(ctx, r.(types.ManagedObjectReference))
				ownDevices(ctx, vm)
				m.s.refresh(ctx, vm)
			}
		})
		return r, fl
	})
	return &methods.RegisterVM_TaskBody{Res: &types.RegisterVM_TaskResponse{Returnval: ref}}
}

// checkNewVM refuses what would make the simulator panic or a real vCenter refuse,
// and fills in what must differ between sites.
func (s *Site) checkNewVM(ctx *simulator.Context, f *simulator.Folder, req *types.CreateVM_Task) fault {
	c := &req.Config
	if c.Files == nil {
		return &types.InvalidVmConfig{Property: "configSpec.files.vmPathName"}
	}
	var p object.DatastorePath
	if !p.FromString(c.Files.VmPathName) {
		return &types.InvalidDatastorePath{DatastorePath: c.Files.VmPathName}
	}
	if _, err := s.datastoreDir(p.Datastore); err != nil {
		return &types.InvalidDatastore{Name: p.Datastore}
	}
	for _, ref := range f.ChildEntity {
		if e := vmOf(ctx, ref); e != nil && s.entityName(ref) == c.Name {
			return &types.DuplicateName{Name: c.Name, Object: ref}
		}
	}
	if c.Uuid == "" {
		c.Uuid = uuid.NewString()
	}
	if c.InstanceUuid == "" {
		c.InstanceUuid = uuid.NewString()
	}
	if req.Host == nil {
		req.Host = s.placeHost(ctx, req.Pool)
	}
	if req.Host == nil {
		return &types.NoCompatibleHost{}
	}
	return nil
}

// placeHost is the usable host of a pool's cluster that has the fewest VMs.
func (s *Site) placeHost(ctx *simulator.Context, pool types.ManagedObjectReference) *types.ManagedObjectReference {
	var owner types.ManagedObjectReference
	switch p := ctx.Map.Get(pool).(type) {
	case *simulator.ResourcePool:
		owner = p.Owner
	case *simulator.VirtualApp:
		owner = p.Owner
	default:
		return nil
	}
	var hosts []types.ManagedObjectReference
	switch c := ctx.Map.Get(owner).(type) {
	case *simulator.ClusterComputeResource:
		hosts = c.Host
	case *mo.ComputeResource:
		hosts = c.Host
	}
	count := map[types.ManagedObjectReference]int{}
	for _, v := range s.states() {
		count[v.host]++
	}
	var best *types.ManagedObjectReference
	for _, ref := range hosts {
		h := ctx.Map.Get(ref).(*simulator.HostSystem)
		usable := false
		ctx.WithLock(h, func() {
			usable = h.Runtime.ConnectionState == types.HostSystemConnectionStateConnected && !h.Runtime.InMaintenanceMode
		})
		if usable && (best == nil || count[ref] < count[*best]) {
			best = &ref
		}
	}
	return best
}

func (m *vmMethods) ReconfigVMTask(ctx *simulator.Context, req *types.ReconfigVM_Task) soap.HasFault {
	vm := vmOf(ctx, req.This)
	if vm == nil {
		return &methods.ReconfigVM_TaskBody{Fault_: notFound(req.This)}
	}
	ref := m.s.run(ctx, req.This, "reconfigVm", func() (result, fault) {
		var f fault
		ctx.WithLock(vm, func() { f = m.s.reconfigure(ctx, vm, req) })
		return nil, f
	})
	return &methods.ReconfigVM_TaskBody{Res: &types.ReconfigVM_TaskResponse{Returnval: ref}}
}

func (s *Site) reconfigure(ctx *simulator.Context, vm *simulator.VirtualMachine, req *types.ReconfigVM_Task) fault {
	if v := req.Spec.ChangeVersion; v != "" && v != vm.Config.ChangeVersion {
		return new(types.ConcurrentAccess)
	}
	plan, f := s.planDisks(ctx, vm, *vm.Runtime.Host, req.Spec.DeviceChange)
	if f != nil {
		return f
	}
	res := vm.ReconfigVMTask(ctx, req).(*methods.ReconfigVM_TaskBody)
	if _, f = inner(ctx, res.Res.Returnval); f != nil {
		s.refresh(ctx, vm)
		return f
	}
	_, f = s.applyPlan(ctx, vm, plan)
	return f
}
