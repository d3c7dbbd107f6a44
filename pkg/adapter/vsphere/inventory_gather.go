package vsphere

import (
	"cmp"
	"slices"
	"strings"

	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"tidemark.dev/pkg/contract/inventory"
)

// gathered is a pass over the inventory, by type.
type gathered struct {
	entity    map[types.ManagedObjectReference]node
	computes  []mo.ComputeResource
	hosts     []mo.HostSystem
	stores    []mo.Datastore
	nets      []mo.Network
	folders   []mo.Folder
	pools     []mo.ResourcePool
	centers   []mo.Datacenter
	machines  []mo.VirtualMachine
	configs   map[types.ManagedObjectReference]inventory.VM // what configurations say; see Client.configs
	networkOf networks
}

// node is a place in the tree. Its name is as the vCenter escapes it, so that a
// path can be taken apart again.
type node struct {
	name   string
	parent *types.ManagedObjectReference
}

// gatherAll sorts the property collector's answer. Missing properties, of a VM
// whose host is lost or that the user may not see, stay empty.
func gatherAll(objs []types.ObjectContent) (*gathered, error) {
	g := &gathered{entity: make(map[types.ManagedObjectReference]node, len(objs))}
	for _, o := range objs {
		o.MissingSet = nil
		o.PropSet = slices.DeleteFunc(o.PropSet, func(p types.DynamicProperty) bool { return p.Val == nil })
		v, err := mo.ObjectContentToType(o)
		if err != nil {
			return nil, err
		}
		switch m := v.(type) {
		case mo.VirtualMachine:
			g.add(m.Self, m.Name, parentOf(&m))
			g.machines = append(g.machines, m)
		case mo.HostSystem:
			g.add(m.Self, m.Name, m.Parent)
			g.hosts = append(g.hosts, m)
		case mo.ComputeResource:
			g.add(m.Self, m.Name, m.Parent)
			g.computes = append(g.computes, m)
		case mo.ClusterComputeResource:
			g.add(m.Self, m.Name, m.Parent)
			g.computes = append(g.computes, m.ComputeResource)
		case mo.Datastore:
			g.add(m.Self, m.Name, m.Parent)
			g.stores = append(g.stores, m)
		case mo.Network:
			g.addNetwork(m)
		case mo.DistributedVirtualPortgroup:
			g.addNetwork(m.Network)
		case mo.OpaqueNetwork:
			g.addNetwork(m.Network)
		case mo.StoragePod:
			g.add(m.Self, m.Name, m.Parent)
		case mo.Folder:
			g.add(m.Self, m.Name, m.Parent)
			if slices.Contains(m.ChildType, "VirtualMachine") {
				g.folders = append(g.folders, m)
			}
		case mo.ResourcePool:
			g.add(m.Self, m.Name, m.Parent)
			g.pools = append(g.pools, m)
		case mo.VirtualApp:
			g.add(m.Self, m.Name, m.Parent)
		case mo.Datacenter:
			g.add(m.Self, m.Name, m.Parent)
			g.centers = append(g.centers, m)
		}
	}
	g.networkOf = networksOf(g.nets)
	return g, nil
}

// parentOf is where a VM is: in a folder, or in a vApp.
func parentOf(m *mo.VirtualMachine) *types.ManagedObjectReference {
	if m.Parent == nil {
		return m.ParentVApp
	}
	return m.Parent
}

func (g *gathered) add(ref types.ManagedObjectReference, name string, parent *types.ManagedObjectReference) {
	g.entity[ref] = node{name: name, parent: parent}
}

func (g *gathered) addNetwork(m mo.Network) {
	g.add(m.Self, m.Name, m.Parent)
	// No VM can use the uplink port groups of a distributed switch. They are
	// tagged, and have such a name unless somebody renamed them.
	uplink := slices.ContainsFunc(m.Tag, func(t types.Tag) bool { return t.Key == "SYSTEM/DVS.UPLINKPG" })
	if !uplink && !strings.Contains(m.Name, "-DVUplinks-") {
		g.nets = append(g.nets, m)
	}
}

// place is an entity's path. The root folder is not part of it.
func (g *gathered) place(ref types.ManagedObjectReference) inventory.Place {
	n := g.entity[ref]
	p := inventory.Place{Ref: refOf(&ref), Name: inventory.Unescape(n.name)}
	names := []string{n.name}
	for range 100 { // a tree that is moved while it is read may seem to have a ring
		if n.parent == nil {
			break
		}
		up, ok := g.entity[*n.parent]
		if !ok {
			break
		}
		names = append(names, up.name)
		n = up
	}
	slices.Reverse(names)
	p.Path = "/" + strings.Join(names, "/")
	return p
}

// fill adds everything to an inventory, sorted by path.
func (g *gathered) fill(inv *inventory.Inventory) {
	inv.Datacenters = places(g, g.centers, func(m mo.Datacenter) types.ManagedObjectReference { return m.Self })
	inv.Folders = places(g, g.folders, func(m mo.Folder) types.ManagedObjectReference { return m.Self })
	inv.Pools = places(g, g.pools, func(m mo.ResourcePool) types.ManagedObjectReference { return m.Self })
	inv.Clusters = make([]inventory.Cluster, len(g.computes))
	for i, m := range g.computes {
		inv.Clusters[i] = inventory.Cluster{Place: g.place(m.Self), Hosts: refsOf(m.Host), ImageManaged: isTrue(m.LifecycleManaged), Pool: refOf(m.ResourcePool)}
		if c, ok := m.ConfigurationEx.(*types.ClusterConfigInfoEx); ok && c.DrsConfig.Enabled != nil {
			inv.Clusters[i].DRS = *c.DrsConfig.Enabled
		}
	}
	inv.Hosts = make([]inventory.Host, len(g.hosts))
	for i, m := range g.hosts {
		h := inventory.Host{Place: g.place(m.Self), Cluster: refOf(m.Parent),
			State: string(m.Runtime.ConnectionState), Maintenance: m.Runtime.InMaintenanceMode}
		if p := m.Summary.Config.Product; p != nil {
			h.Version, h.Build = p.Version, p.Build
		}
		inv.Hosts[i] = h
	}
	inv.Datastores = make([]inventory.Datastore, len(g.stores))
	for i, m := range g.stores {
		s := m.Summary
		d := inventory.Datastore{Place: g.place(m.Self), Kind: s.Type, Capacity: s.Capacity, Free: s.FreeSpace, Accessible: s.Accessible, Hosts: []inventory.Ref{}}
		for _, h := range m.Host {
			// A host that does not tell has it.
			if h.MountInfo.Mounted == nil || *h.MountInfo.Mounted {
				d.Hosts = append(d.Hosts, refOf(&h.Key))
			}
		}
		inv.Datastores[i] = d
	}
	inv.Networks = make([]inventory.Network, len(g.nets))
	for i, m := range g.nets {
		inv.Networks[i] = inventory.Network{Place: g.place(m.Self), Kind: networkKind(m.Self)}
	}
	inv.VMs = make([]inventory.VM, len(g.machines))
	for i := range g.machines {
		m := &g.machines[i]
		inv.VMs[i] = vmOf(m, g.configs[m.Self], g.place(m.Self), g.networkOf)
	}
	byPath(inv.Clusters, func(v inventory.Cluster) string { return v.Path })
	byPath(inv.Hosts, func(v inventory.Host) string { return v.Path })
	byPath(inv.Datastores, func(v inventory.Datastore) string { return v.Path })
	byPath(inv.Networks, func(v inventory.Network) string { return v.Path })
	byPath(inv.VMs, func(v inventory.VM) string { return v.Path })
}

func places[T any](g *gathered, from []T, self func(T) types.ManagedObjectReference) []inventory.Place {
	out := make([]inventory.Place, len(from))
	for i, m := range from {
		out[i] = g.place(self(m))
	}
	byPath(out, func(p inventory.Place) string { return p.Path })
	return out
}

func byPath[T any](s []T, path func(T) string) {
	slices.SortStableFunc(s, func(a, b T) int { return cmp.Compare(path(a), path(b)) })
}

func networkKind(ref types.ManagedObjectReference) string {
	switch ref.Type {
	case "DistributedVirtualPortgroup":
		return "distributed"
	case "OpaqueNetwork":
		return "opaque"
	}
	return "standard"
}
