package inventory

import (
	"fmt"
	"slices"
	"strings"
)

// Named reports whether name is the place's name or inventory path.
func (p Place) Named(name string) bool { return p.Path == name || p.Name == name }

// Each Find method finds one thing by its name or inventory path. why says in
// words why there is no such thing, or which path to give where several have the
// name; it is empty if one was found.

// FindHost finds a host.
func (inv Inventory) FindHost(name string) (h Host, why string) {
	return find(inv, inv.Hosts, func(h Host) Place { return h.Place }, "host", name)
}

// FindCluster finds a cluster.
func (inv Inventory) FindCluster(name string) (c Cluster, why string) {
	return find(inv, inv.Clusters, func(c Cluster) Place { return c.Place }, "cluster", name)
}

// FindPool finds a resource pool.
func (inv Inventory) FindPool(name string) (p Place, why string) {
	return find(inv, inv.Pools, func(p Place) Place { return p }, "resource pool", name)
}

// FindFolder finds a VM folder.
func (inv Inventory) FindFolder(name string) (p Place, why string) {
	return find(inv, inv.Folders, func(p Place) Place { return p }, "folder", name)
}

// FindDatastore finds a datastore.
func (inv Inventory) FindDatastore(name string) (d Datastore, why string) {
	return find(inv, inv.Datastores, func(d Datastore) Place { return d.Place }, "datastore", name)
}

// FindNetwork finds a network.
func (inv Inventory) FindNetwork(name string) (n Network, why string) {
	return find(inv, inv.Networks, func(n Network) Place { return n.Place }, "network", name)
}

// FindVM finds a VM by path, instance UUID or name, as a Site names its
// transporter.
func (inv Inventory) FindVM(name string) (v VM, why string) {
	for _, v := range inv.VMs {
		if v.Path == name || strings.EqualFold(v.UUID, name) {
			return v, ""
		}
	}
	return find(inv, inv.VMs, func(v VM) Place { return v.Place }, "VM", name)
}

func find[T any](inv Inventory, all []T, place func(T) Place, kind, name string) (T, string) {
	var found []T
	for _, x := range all {
		if place(x).Path == name {
			return x, ""
		}
		if place(x).Name == name {
			found = append(found, x)
		}
	}
	var zero T
	switch len(found) {
	case 1:
		return found[0], ""
	case 0:
		return zero, fmt.Sprintf("there is no %s %q %s", kind, name, inv.where())
	}
	return zero, fmt.Sprintf("%d %ss %s are called %q: give the path", len(found), kind, inv.where(), name)
}

// where names the site in words.
func (inv Inventory) where() string {
	if inv.Site == "" {
		return "at the target"
	}
	return "at the site " + string(inv.Site)
}

// DatacenterAt is the datacenter that contains an inventory path.
func (inv Inventory) DatacenterAt(path string) Ref {
	best, ref := "", Ref("")
	for _, d := range inv.Datacenters {
		if strings.HasPrefix(path, d.Path+"/") && len(d.Path) >= len(best) {
			best, ref = d.Path, d.Ref
		}
	}
	if ref == "" && len(inv.Datacenters) == 1 {
		ref = inv.Datacenters[0].Ref
	}
	return ref
}

// Inside are the datastores of a datacenter. Only there are their names unique.
func (inv Inventory) Inside(dc Ref) []Datastore {
	return slices.DeleteFunc(slices.Clone(inv.Datastores), func(d Datastore) bool { return inv.DatacenterAt(d.Path) != dc })
}

// UsersOf are the VMs that have a disk file of a datacenter as a disk or in the chain
// below one: they read what is written to it. A VM of another datacenter with a disk
// at the same path has another disk, unless the UUID is the same.
func (inv Inventory) UsersOf(dc Ref, file, uuid string) []VM {
	file = CleanFile(file)
	is := func(f string) bool { return CleanFile(f) == file }
	var out []VM
	for _, v := range inv.VMs {
		here := inv.DatacenterAt(v.Path) == dc
		if slices.ContainsFunc(v.Hardware.Disks, func(d Disk) bool {
			return (here || uuid != "" && d.UUID == uuid) && (is(d.File) || slices.ContainsFunc(d.Below, is))
		}) {
			out = append(out, v)
		}
	}
	return out
}
