package vcsim

import (
	"sync"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// filterManager is the IoFilterManager, with a state of each filter on each host. A
// host accepts an operation only in maintenance mode and otherwise reports an
// issue. The operation as a whole succeeds all the same, as on a real cluster.
type filterManager struct {
	mo.IoFilterManager
	s *Site

	mu        sync.Mutex
	installed map[types.ManagedObjectReference]map[string]*clusterFilter // cluster, filter id
	trouble   map[string]string                                          // by host name
}

type clusterFilter struct {
	info  types.ClusterIoFilterInfo
	hosts map[types.ManagedObjectReference]*hostFilter
}

// hostFilter is a filter on one host; version is empty if it is not installed.
type hostFilter struct {
	version string
	issue   *types.LocalizedMethodFault
}

func newFilterManager(s *Site, ref types.ManagedObjectReference) *filterManager {
	m := &filterManager{s: s, installed: map[types.ManagedObjectReference]map[string]*clusterFilter{}, trouble: map[string]string{}}
	m.Self = ref
	return m
}

// FilterTrouble makes I/O filter operations leave an issue with this text on a
// host. An empty text ends that, but an issue stays until it is resolved.
func (s *Site) FilterTrouble(host, kind string) {
	if s.iof == nil {
		return
	}
	s.iof.mu.Lock()
	defer s.iof.mu.Unlock()
	s.iof.trouble[host] = kind
}

func (m *filterManager) cluster(ctx *simulator.Context, ref types.ManagedObjectReference) (*simulator.ClusterComputeResource, fault) {
	c, ok := ctx.Map.Get(ref).(*simulator.ClusterComputeResource)
	if !ok {
		return nil, &types.InvalidArgument{InvalidProperty: "compRes"}
	}
	if c.LifecycleManaged != nil && *c.LifecycleManaged {
		return nil, &types.NotSupported{}
	}
	return c, nil
}

// apply does an operation on the hosts that have not done it, and reports whether
// no host has an issue; mu is held.
func (m *filterManager) apply(ctx *simulator.Context, f *clusterFilter, hosts []types.ManagedObjectReference) bool {
	want := f.info.Version
	if f.info.OpType == string(types.IoFilterOperationUninstall) {
		want = ""
	}
	clean := true
	for _, ref := range hosts {
		h := f.hosts[ref]
		if h == nil {
			h = &hostFilter{}
			f.hosts[ref] = h
		}
		if h.version != want {
			if h.issue = m.obstacle(ctx, ref); h.issue == nil {
				h.version = want
			}
		} else {
			h.issue = nil
		}
	}
	for _, h := range f.hosts {
		clean = clean && h.issue == nil
	}
	return clean
}

// obstacle is why a host cannot change its filters now.
func (m *filterManager) obstacle(ctx *simulator.Context, ref types.ManagedObjectReference) *types.LocalizedMethodFault {
	h, ok := ctx.Map.Get(ref).(*simulator.HostSystem)
	if !ok {
		return nil
	}
	var lost, maintenance bool
	ctx.WithLock(h, func() {
		lost = h.Runtime.ConnectionState != types.HostSystemConnectionStateConnected
		maintenance = h.Runtime.InMaintenanceMode
	})
	switch text := m.trouble[h.Name]; {
	case lost:
		return &types.LocalizedMethodFault{Fault: &types.HostNotConnected{}, LocalizedMessage: "The host is not connected."}
	case text != "":
		return &types.LocalizedMethodFault{Fault: &types.PlatformConfigFault{Text: text}, LocalizedMessage: text}
	case !maintenance:
		return &types.LocalizedMethodFault{Fault: &types.InvalidHostState{Host: &ref}, LocalizedMessage: "The host must be in maintenance mode."}
	}
	return nil
}

// show writes the filters to a host's configuration.
func (m *filterManager) show(ctx *simulator.Context, c *simulator.ClusterComputeResource) {
	for _, ref := range c.Host {
		h, ok := ctx.Map.Get(ref).(*simulator.HostSystem)
		if !ok {
			continue
		}
		list := []types.HostIoFilterInfo{}
		m.mu.Lock()
		for _, f := range m.installed[c.Self] {
			if hf := f.hosts[ref]; hf != nil && hf.version != "" {
				i := types.HostIoFilterInfo{IoFilterInfo: f.info.IoFilterInfo, Available: hf.issue == nil}
				i.Version = hf.version
				list = append(list, i)
			}
		}
		m.mu.Unlock()
		ctx.WithLock(h, func() { ctx.Update(h, []types.PropertyChange{{Name: "config.ioFilterInfo", Val: list}}) })
	}
}

// change runs an operation on a cluster's filters as a task.
func (m *filterManager) change(ctx *simulator.Context, ref types.ManagedObjectReference, name string, op func(*simulator.ClusterComputeResource) fault) types.ManagedObjectReference {
	return m.s.run(ctx, ref, name, func() (result, fault) {
		c, f := m.cluster(ctx, ref)
		if f == nil {
			f = op(c)
		}
		if f == nil {
			m.show(ctx, c)
		}
		return nil, f
	})
}

func (m *filterManager) InstallIoFilterTask(ctx *simulator.Context, req *types.InstallIoFilter_Task) soap.HasFault {
	ref := m.change(ctx, req.CompRes, "installIoFilter", func(c *simulator.ClusterComputeResource) fault {
		info, f := fetchBundle(req.VibUrl)
		if f != nil {
			return f
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		all := m.installed[c.Self]
		if all == nil {
			all = map[string]*clusterFilter{}
			m.installed[c.Self] = all
		}
		for _, x := range all {
			if x.info.Name == info.Name {
				return &types.AlreadyExists{Name: x.info.Id}
			}
		}
		x := &clusterFilter{hosts: map[types.ManagedObjectReference]*hostFilter{}}
		x.info = types.ClusterIoFilterInfo{IoFilterInfo: info, VibUrl: req.VibUrl, OpType: string(types.IoFilterOperationInstall)}
		all[info.Id] = x
		m.apply(ctx, x, c.Host)
		return nil
	})
	return &methods.InstallIoFilter_TaskBody{Res: &types.InstallIoFilter_TaskResponse{Returnval: ref}}
}

func (m *filterManager) UninstallIoFilterTask(ctx *simulator.Context, req *types.UninstallIoFilter_Task) soap.HasFault {
	ref := m.change(ctx, req.CompRes, "uninstallIoFilter", func(c *simulator.ClusterComputeResource) fault {
		if d := m.users(c, req.FilterId); len(d) > 0 {
			return &types.FilterInUse{Disk: d}
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		x := m.installed[c.Self][req.FilterId]
		if x == nil {
			return &types.NotFound{}
		}
		x.info.OpType = string(types.IoFilterOperationUninstall)
		if m.apply(ctx, x, c.Host) {
			delete(m.installed[c.Self], req.FilterId)
		}
		return nil
	})
	return &methods.UninstallIoFilter_TaskBody{Res: &types.UninstallIoFilter_TaskResponse{Returnval: ref}}
}

func (m *filterManager) UpgradeIoFilterTask(ctx *simulator.Context, req *types.UpgradeIoFilter_Task) soap.HasFault {
	ref := m.change(ctx, req.CompRes, "upgradeIoFilter", func(c *simulator.ClusterComputeResource) fault {
		info, f := fetchBundle(req.VibUrl)
		if f != nil {
			return f
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		x := m.installed[c.Self][req.FilterId]
		if x == nil {
			return &types.NotFound{}
		}
		if x.info.Name != info.Name {
			return &types.InvalidArgument{InvalidProperty: "vibUrl"}
		}
		// The id does not change: policies and disks name the filter by it.
		info.Id = x.info.Id
		x.info = types.ClusterIoFilterInfo{IoFilterInfo: info, VibUrl: req.VibUrl, OpType: string(types.IoFilterOperationUpgrade)}
		m.apply(ctx, x, c.Host)
		return nil
	})
	return &methods.UpgradeIoFilter_TaskBody{Res: &types.UpgradeIoFilter_TaskResponse{Returnval: ref}}
}

func (m *filterManager) resolve(ctx *simulator.Context, c *simulator.ClusterComputeResource, id string, hosts []types.ManagedObjectReference) fault {
	m.mu.Lock()
	defer m.mu.Unlock()
	x := m.installed[c.Self][id]
	if x == nil {
		return &types.NotFound{}
	}
	if m.apply(ctx, x, hosts) && x.info.OpType == string(types.IoFilterOperationUninstall) {
		delete(m.installed[c.Self], id)
	}
	return nil
}

func (m *filterManager) ResolveInstallationErrorsOnClusterTask(ctx *simulator.Context, req *types.ResolveInstallationErrorsOnCluster_Task) soap.HasFault {
	ref := m.change(ctx, req.Cluster, "resolveInstallationErrorsOnCluster", func(c *simulator.ClusterComputeResource) fault {
		return m.resolve(ctx, c, req.FilterId, c.Host)
	})
	return &methods.ResolveInstallationErrorsOnCluster_TaskBody{Res: &types.ResolveInstallationErrorsOnCluster_TaskResponse{Returnval: ref}}
}

func (m *filterManager) ResolveInstallationErrorsOnHostTask(ctx *simulator.Context, req *types.ResolveInstallationErrorsOnHost_Task) soap.HasFault {
	h, ok := ctx.Map.Get(req.Host).(*simulator.HostSystem)
	if !ok {
		return &methods.ResolveInstallationErrorsOnHost_TaskBody{Fault_: notFound(req.Host)}
	}
	ref := m.change(ctx, *h.Parent, "resolveInstallationErrorsOnHost", func(c *simulator.ClusterComputeResource) fault {
		return m.resolve(ctx, c, req.FilterId, []types.ManagedObjectReference{req.Host})
	})
	return &methods.ResolveInstallationErrorsOnHost_TaskBody{Res: &types.ResolveInstallationErrorsOnHost_TaskResponse{Returnval: ref}}
}
