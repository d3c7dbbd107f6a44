package vcsim

import (
	"fmt"
	"strings"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

type hostMethods struct{ target }

// EnterMaintenanceModeTask moves running VMs to another host, as DRS does, and
// times out if there is none.
func (m *hostMethods) EnterMaintenanceModeTask(ctx *simulator.Context, req *types.EnterMaintenanceMode_Task) soap.HasFault {
	h, ok := ctx.Map.Get(req.This).(*simulator.HostSystem)
	if !ok {
		return &methods.EnterMaintenanceMode_TaskBody{Fault_: notFound(req.This)}
	}
	ref := m.s.run(ctx, req.This, "enterMaintenanceMode", func() (result, fault) {
		m.s.setMaintenance(ctx, h, true) // first: nothing may be placed here any more
		for _, v := range m.s.states() {
			if v.host != h.Self || !v.on {
				continue
			}
			vm := vmOf(ctx, v.ref)
			to := m.s.placeHost(ctx, *vm.ResourcePool)
			if to == nil {
				m.s.setMaintenance(ctx, h, false)
				return nil, &types.Timedout{}
			}
			m.s.moveVM(ctx, vm, *to)
		}
		return nil, nil
	})
	return &methods.EnterMaintenanceMode_TaskBody{Res: &types.EnterMaintenanceMode_TaskResponse{Returnval: ref}}
}

func (m *hostMethods) ExitMaintenanceModeTask(ctx *simulator.Context, req *types.ExitMaintenanceMode_Task) soap.HasFault {
	h, ok := ctx.Map.Get(req.This).(*simulator.HostSystem)
	if !ok {
		return &methods.ExitMaintenanceMode_TaskBody{Fault_: notFound(req.This)}
	}
	ref := m.s.run(ctx, req.This, "exitMaintenanceMode", func() (result, fault) {
		m.s.setMaintenance(ctx, h, false)
		return nil, nil
	})
	return &methods.ExitMaintenanceMode_TaskBody{Res: &types.ExitMaintenanceMode_TaskResponse{Returnval: ref}}
}

func (s *Site) setMaintenance(ctx *simulator.Context, h *simulator.HostSystem, on bool) {
	ctx.WithLock(h, func() {
		r := h.Runtime
		r.InMaintenanceMode = on
		updateRuntime(ctx, h, r)
	})
}

// updateRuntime sets a host's runtime. Its summary is replaced by a copy, because
// an answer with the old one may be being written.
func updateRuntime(ctx *simulator.Context, h *simulator.HostSystem, r types.HostRuntimeInfo) {
	copied := r
	ctx.Update(h, []types.PropertyChange{
		{Name: "runtime.connectionState", Val: r.ConnectionState},
		{Name: "runtime.powerState", Val: r.PowerState},
		{Name: "runtime.inMaintenanceMode", Val: r.InMaintenanceMode},
		{Name: "summary.runtime", Val: &copied},
	})
}

func (s *Site) inMaintenance(ctx *simulator.Context, ref types.ManagedObjectReference) (on bool) {
	if h, ok := ctx.Map.Get(ref).(*simulator.HostSystem); ok {
		ctx.WithLock(h, func() { on = h.Runtime.InMaintenanceMode })
	}
	return on
}

func (s *Site) post(ctx *simulator.Context, ev types.BaseEvent) {
	em := s.registry().EventManager()
	ctx.WithLock(em, func() { em.PostEvent(ctx, &types.PostEvent{EventToPost: ev}) })
}

// HostNames are the names of the site's hosts.
func (s *Site) HostNames() []string {
	var l []string
	for i := range s.cfg.Hosts {
		l = append(l, fmt.Sprintf("%s-esx%d", s.cfg.Name, i+1))
	}
	return l
}

func (s *Site) host(name string) (*simulator.HostSystem, error) {
	for _, e := range s.registry().All("HostSystem") {
		if h, ok := e.(*simulator.HostSystem); ok && (h.Name == name || h.Self.Value == name) {
			return h, nil
		}
	}
	return nil, fmt.Errorf("vspheretest: no host %q", name)
}

// FailHost makes a host stop answering vCenter: it and its VMs are shown as
// disconnected, and tasks on them fail. Guests keep running.
func (s *Site) FailHost(name string) error { return s.hostState(name, false) }

// HealHost ends FailHost.
func (s *Site) HealHost(name string) error { return s.hostState(name, true) }

func (s *Site) hostState(name string, ok bool) error {
	h, err := s.host(name)
	if err != nil {
		return err
	}
	ctx := s.context()
	state, power, vmState := types.HostSystemConnectionStateNotResponding, types.HostSystemPowerStateUnknown, types.VirtualMachineConnectionStateDisconnected
	arg := types.HostEvent{Event: types.Event{Host: &types.HostEventArgument{Host: h.Self, EntityEventArgument: types.EntityEventArgument{Name: h.Name}}}}
	var ev types.BaseEvent = &types.HostConnectionLostEvent{HostEvent: arg}
	if ok {
		state, power, vmState = types.HostSystemConnectionStateConnected, types.HostSystemPowerStatePoweredOn, types.VirtualMachineConnectionStateConnected
		ev = &types.HostConnectedEvent{HostEvent: arg}
	}
	ctx.WithLock(h, func() {
		r := h.Runtime
		r.ConnectionState, r.PowerState = state, power
		updateRuntime(ctx, h, r)
	})
	for _, v := range s.states() {
		if vm := vmOf(ctx, v.ref); vm != nil && v.host == h.Self {
			ctx.WithLock(vm, func() {
				ctx.Update(vm, []types.PropertyChange{
					{Name: "runtime.connectionState", Val: vmState}, {Name: "summary.runtime.connectionState", Val: vmState},
				})
			})
		}
	}
	s.post(ctx, ev)
	return nil
}

// hostGone is the fault of a task on a lost host or on one of its VMs.
func (s *Site) hostGone(m *simulator.Method) fault {
	if !strings.HasSuffix(m.Name, "_Task") && m.Name != "QueryDateTime" {
		return nil
	}
	ref := m.This
	s.mu.Lock()
	if v := s.vms[ref]; v != nil {
		ref = v.host
	}
	s.mu.Unlock()
	h, ok := s.registry().Get(ref).(*simulator.HostSystem)
	if !ok {
		return nil
	}
	lost := false
	s.context().WithLock(h, func() { lost = h.Runtime.ConnectionState == types.HostSystemConnectionStateNotResponding })
	if lost {
		return &types.HostNotConnected{}
	}
	return nil
}

// HostVersion sets a host's product version.
func (s *Site) HostVersion(name, version string) error {
	h, err := s.host(name)
	if err != nil {
		return err
	}
	ctx := s.context()
	ctx.WithLock(h, func() {
		p := h.Config.Product
		p.Version, p.ApiVersion, p.FullName = version, version, "VMware ESXi "+version+" build-1"
		ctx.Update(h, []types.PropertyChange{{Name: "config.product", Val: p}, {Name: "summary.config.product", Val: &p}})
	})
	return nil
}

// VLCM makes a cluster image-managed, or not. An empty name means the first
// cluster.
func (s *Site) VLCM(cluster string, on bool) error {
	for _, e := range s.registry().All("ClusterComputeResource") {
		c, ok := e.(*simulator.ClusterComputeResource)
		if ok && (cluster == "" || c.Name == cluster || c.Self.Value == cluster) {
			ctx := s.context()
			// Not by Update: the simulator cannot assign a pointer to a bool.
			ctx.WithLock(c, func() { c.LifecycleManaged = types.NewBool(on) })
			return nil
		}
	}
	return fmt.Errorf("vspheretest: no cluster %q", cluster)
}
