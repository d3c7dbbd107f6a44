package vcsim

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/google/uuid"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/simulator/esx"
	_ "github.com/vmware/govmomi/vapi/simulator" // registers the REST endpoint: tags
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// buildMu is held while a simulator is built: it shares templates that are
// package globals.
var buildMu sync.Mutex

// trim takes the devices from the simulator's template of VMs that nothing here looks at:
// they were two fifths of what is said of a VM, in every answer about it.
var trim = sync.OnceFunc(func() {
	esx.VirtualDevice = slices.DeleteFunc(slices.Clone(esx.VirtualDevice), func(d types.BaseVirtualDevice) bool {
		switch d.(type) {
		case *types.VirtualPS2Controller, *types.VirtualSIOController, *types.VirtualKeyboard, *types.VirtualPointingDevice,
			*types.VirtualMachineVideoCard, *types.VirtualMachineVMCIDevice:
			return true
		}
		return false
	})
})

// networks exist at every site, beside the distributed port group "<name>-dvpg".
var networks = []string{"DR Network", "isolated"}

func (s *Site) build() error {
	buildMu.Lock()
	defer buildMu.Unlock()
	trim()
	s.model = simulator.VPX()
	if s.cfg.ESX {
		s.model = simulator.ESX()
	}
	m := s.model
	m.Datacenter, m.Portgroup, m.Host, m.Cluster, m.ClusterHost, m.Datastore, m.Machine = 0, 0, 0, 0, 0, 0, 0
	about := &m.ServiceContent.About
	about.Version, about.ApiVersion = "8.0.3", "8.0.3.0"
	if err := m.Create(); err != nil {
		return err
	}
	s.svc = m.Service
	si := s.registry().Get(types.ManagedObjectReference{Type: "ServiceInstance", Value: "ServiceInstance"}).(*simulator.ServiceInstance)
	si.Content.About.InstanceUuid = s.instance
	if s.cfg.ESX {
		si.Content.About.InstanceUuid = ""
	}
	hosts, err := s.buildHosts()
	if err != nil {
		return err
	}
	if err = s.buildStorage(hosts); err != nil {
		return err
	}
	if err = s.buildNetworks(hosts); err != nil {
		return err
	}
	s.extend(si, hosts)
	return nil
}

func (s *Site) buildHosts() ([]*simulator.HostSystem, error) {
	ctx, reg := insideContext(), s.registry()
	if s.cfg.ESX {
		h := reg.Get(esx.HostSystem.Reference()).(*simulator.HostSystem)
		s.nameHost(h, s.cfg.Name+"-esx1")
		return []*simulator.HostSystem{h}, nil
	}
	root := reg.Get(si(reg).RootFolder).(*simulator.Folder)
	dcRes, err := methods.CreateDatacenter(ctx, s.svc, &types.CreateDatacenter{This: root.Self, Name: s.cfg.Name + "-dc"})
	if err != nil {
		return nil, err
	}
	dc := reg.Get(dcRes.Returnval).(*simulator.Datacenter)
	c, err := methods.CreateClusterEx(ctx, s.svc, &types.CreateClusterEx{This: dc.HostFolder, Name: s.cfg.Name + "-cluster"})
	if err != nil {
		return nil, err
	}
	var hosts []*simulator.HostSystem
	for i := range s.cfg.Hosts {
		t, err := methods.AddHost_Task(ctx, s.svc, &types.AddHost_Task{
			This: c.Returnval, AsConnected: true,
			Spec: types.HostConnectSpec{HostName: fmt.Sprintf("%s-esx%d", s.cfg.Name, i+1)},
		})
		if err != nil {
			return nil, err
		}
		ref, err := s.wait(t.Returnval, nil)
		if err != nil {
			return nil, err
		}
		hosts = append(hosts, reg.Get(ref.(types.ManagedObjectReference)).(*simulator.HostSystem))
	}
	for _, h := range hosts { // after the last was added: the simulator cannot parse this version
		s.nameHost(h, h.Name)
	}
	return hosts, nil
}

func si(reg *simulator.Registry) types.ServiceContent {
	return reg.Get(types.ManagedObjectReference{Type: "ServiceInstance", Value: "ServiceInstance"}).(*simulator.ServiceInstance).Content
}

// nameHost gives a host its own name, UUID and product: the simulator's hosts share
// theirs.
func (s *Site) nameHost(h *simulator.HostSystem, name string) {
	h.Name, h.Summary.Config.Name = name, name
	id := uuid.NewSHA1(uuid.NameSpaceOID, []byte(s.instance+name)).String()
	hw, sys := *h.Summary.Hardware, *h.Hardware
	hw.Uuid, sys.SystemInfo.Uuid = id, id
	h.Summary.Hardware, h.Hardware = &hw, &sys
	h.Config.Certificate = []byte(name)
	product := h.Config.Product
	product.Version, product.ApiVersion, product.FullName = "8.0.3", "8.0.3.0", "VMware ESXi 8.0.3 build-1"
	h.Config.Product = product
	copied := product
	h.Summary.Config.Product = &copied
	h.Runtime.ConnectionState = types.HostSystemConnectionStateConnected
	runtime := h.Runtime
	h.Summary.Runtime = &runtime
}

func (s *Site) buildStorage(hosts []*simulator.HostSystem) error {
	for _, name := range s.Datastores() {
		dir := filepath.Join(s.cfg.Dir, "datastores", name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		for _, h := range hosts {
			_, err := methods.CreateLocalDatastore(insideContext(), s.svc, &types.CreateLocalDatastore{
				This: *h.ConfigManager.DatastoreSystem, Name: name, Path: dir,
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Site) buildNetworks(hosts []*simulator.HostSystem) error {
	ctx, reg := insideContext(), s.registry()
	for _, name := range networks {
		_, err := methods.AddPortGroup(ctx, s.svc, &types.AddPortGroup{
			This:    *hosts[0].ConfigManager.NetworkSystem,
			Portgrp: types.HostPortGroupSpec{Name: name, VswitchName: "vSwitch0"},
		})
		if err != nil {
			return err
		}
	}
	if !s.cfg.ESX {
		if err := s.buildSwitch(hosts); err != nil {
			return err
		}
	}
	var all []types.ManagedObjectReference
	for _, kind := range []string{"Network", "DistributedVirtualPortgroup"} {
		for _, n := range reg.All(kind) {
			all = append(all, n.Reference())
		}
	}
	for _, h := range hosts {
		h.Network = all
	}
	switch c := reg.Get(*hosts[0].Parent).(type) {
	case *simulator.ClusterComputeResource:
		c.Network = all
		enabled := true // as most clusters have it
		c.ConfigurationEx.(*types.ClusterConfigInfoEx).DasConfig.Enabled = &enabled
	case *mo.ComputeResource:
		c.Network = all
	}
	return nil
}

func (s *Site) buildSwitch(hosts []*simulator.HostSystem) error {
	ctx, reg := insideContext(), s.registry()
	dc := reg.Any("Datacenter").(*simulator.Datacenter)
	var members []types.DistributedVirtualSwitchHostMemberConfigSpec
	for _, h := range hosts {
		members = append(members, types.DistributedVirtualSwitchHostMemberConfigSpec{
			Operation: string(types.ConfigSpecOperationAdd), Host: h.Self,
		})
	}
	t, err := methods.CreateDVS_Task(ctx, s.svc, &types.CreateDVS_Task{This: dc.NetworkFolder, Spec: types.DVSCreateSpec{
		ConfigSpec: &types.VMwareDVSConfigSpec{DVSConfigSpec: types.DVSConfigSpec{Name: s.cfg.Name + "-dvs", Host: members}},
	}})
	if err != nil {
		return err
	}
	ref, err := s.wait(t.Returnval, nil)
	if err != nil {
		return err
	}
	dvs := ref.(types.ManagedObjectReference)
	r, err := methods.ReconfigureDvs_Task(ctx, s.svc, &types.ReconfigureDvs_Task{This: dvs, Spec: &types.DVSConfigSpec{Host: members}})
	if err != nil {
		return err
	}
	if _, err = s.wait(r.Returnval, nil); err != nil {
		return err
	}
	p, err := methods.AddDVPortgroup_Task(ctx, s.svc, &types.AddDVPortgroup_Task{This: dvs, Spec: []types.DVPortgroupConfigSpec{{
		Name: s.cfg.Name + "-dvpg", Type: string(types.DistributedVirtualPortgroupPortgroupTypeEarlyBinding), NumPorts: 8,
	}}})
	if err != nil {
		return err
	}
	_, err = s.wait(p.Returnval, nil)
	return err
}

// extend adds our objects to the simulator's.
func (s *Site) extend(si *simulator.ServiceInstance, hosts []*simulator.HostSystem) {
	g := s.gate
	g.redirect("VirtualMachine", &vmMethods{s.target("VirtualMachine")})
	g.redirect("VirtualMachineSnapshot", &snapshotMethods{s.target("Snapshot")})
	g.redirect("Folder", &folderMethods{s.target("Folder")})
	g.redirect("ViewManager", &viewMethods{s.target("ViewManager")})
	g.redirect("OvfManager", &ovfMethods{s.target("OvfManager")})
	g.redirect("ResourcePool", &poolMethods{s.target("ResourcePool")})
	g.redirect("Datacenter", &datacenterMethods{s.target("Datacenter")})
	g.redirect("VirtualDiskManager", &diskMethods{s.target("VirtualDiskManager")})
	g.redirect("FileManager", &fileMethods{s.target("FileManager")})
	g.redirect("HostDatastoreBrowser", &browserMethods{s.target("HostDatastoreBrowser")})
	g.redirect("HostSystem", &hostMethods{s.target("HostSystem")})
	g.redirect("AuthorizationManager", &authMethods{s.target("AuthorizationManager")})
	g.redirect("GuestFileManager", &guestFiles{s.target("GuestFileManager")})
	g.redirect("GuestProcessManager", &guestProcesses{s.target("GuestProcessManager"), s.guests})
	if si.Content.IoFilterManager != nil && !s.cfg.ESX {
		s.iof = newFilterManager(s, *si.Content.IoFilterManager)
		s.registry().Put(s.iof)
	} else {
		si.Content.IoFilterManager = nil
	}
	for _, h := range hosts {
		c := newHostClock(h)
		s.registry().Put(c)
		ref := c.Self
		h.ConfigManager.DateTimeSystem = &ref
		s.clocks[h.Name] = c
		s.registry().Put(newAutoStart(h))
	}
	s.fresh = &newVMs{target: s.target("NewVMs")}
	s.registry().AddHandler(s.fresh)
	s.registry().Handler = g.handle
}
