package inventory

import (
	"fmt"
	"slices"
	"strings"
)

// Placement is where replicas stand at a target.
type Placement struct {
	Datacenter Ref
	Host       Ref // "": the cluster chooses
	Pool       Ref
	Folder     Ref
	Hosts      []Host // that may run a replica
	Home       Datastore
}

// Resolve finds the places that a job's target names.
func (inv Inventory) Resolve(t JobTarget) (Placement, []Problem) {
	var p Placement
	var problems []Problem
	bad := func(field, rule, format string, args ...any) {
		problems = append(problems, Problem{Path: "/spec/target/" + field, Rule: rule, Text: fmt.Sprintf(format, args...)})
	}
	var cluster *Cluster
	if t.Host != "" {
		h, why := one(inv, inv.Hosts, func(h Host) Place { return h.Place }, "host", t.Host)
		if why != "" {
			bad("host", "reference", "%s", why)
		} else {
			p.Host, p.Hosts = h.Ref, []Host{h}
			if i := slices.IndexFunc(inv.Clusters, func(c Cluster) bool { return c.Ref == h.Cluster }); i >= 0 {
				cluster = &inv.Clusters[i]
			}
		}
	} else {
		c, why := one(inv, inv.Clusters, func(c Cluster) Place { return c.Place }, "cluster", t.Cluster)
		if why != "" {
			bad("cluster", "reference", "%s", why)
		} else {
			cluster = &c
			for _, h := range inv.Hosts {
				if h.Cluster == c.Ref {
					p.Hosts = append(p.Hosts, h)
				}
			}
		}
	}
	up := slices.DeleteFunc(slices.Clone(p.Hosts), func(h Host) bool { return h.State != "connected" || h.Maintenance })
	if len(p.Hosts) > 0 && len(up) == 0 {
		bad(map[bool]string{true: "host", false: "cluster"}[t.Host != ""], "state", "no host is connected and out of maintenance mode")
	}
	if cluster != nil {
		p.Pool = cluster.Pool
	}
	if t.Pool != "" {
		pool, why := one(inv, inv.Pools, func(x Place) Place { return x }, "resource pool", t.Pool)
		if why != "" {
			bad("pool", "reference", "%s", why)
		} else if cluster != nil && !strings.HasPrefix(pool.Path, cluster.Path+"/") {
			bad("pool", "reference", "the resource pool %s belongs to another cluster than %s", pool.Path, cluster.Path)
		}
		p.Pool = pool.Ref
	}
	ds, why := inv.datastore(t.Datastore, p.Hosts)
	if why != "" {
		bad("datastore", "reference", "%s", why)
	}
	p.Home = ds
	p.Datacenter = inv.datacenter(ds.Path)
	p.Folder = inv.folder(t.Folder, p.Datacenter, bad)
	for i, d := range t.Disks {
		if _, why := inv.datastore(d.Datastore, p.Hosts); why != "" {
			bad(fmt.Sprintf("disks/%d/datastore", i), "reference", "%s", why)
		}
	}
	return p, problems
}

func (inv Inventory) folder(name string, dc Ref, bad func(field, rule, format string, args ...any)) Ref {
	dcPath := ""
	for _, d := range inv.Datacenters {
		if d.Ref == dc {
			dcPath = d.Path
		}
	}
	if name == "" {
		for _, f := range inv.Folders {
			if f.Path == dcPath+"/vm" {
				return f.Ref
			}
		}
		return ""
	}
	f, why := one(inv, inv.Folders, func(x Place) Place { return x }, "folder", name)
	if why != "" {
		bad("folder", "reference", "%s", why)
	} else if dcPath != "" && !strings.HasPrefix(f.Path, dcPath+"/") {
		bad("folder", "reference", "the folder %s is in another datacenter than the datastore", f.Path)
	}
	return f.Ref
}

// datastore finds one by name or path that some of the hosts has mounted.
func (inv Inventory) datastore(name string, hosts []Host) (Datastore, string) {
	ds, why := one(inv, inv.Datastores, func(d Datastore) Place { return d.Place }, "datastore", name)
	if why != "" {
		return ds, why
	}
	if !ds.Accessible {
		return ds, fmt.Sprintf("the datastore %s is not accessible", ds.Name)
	}
	for _, h := range hosts {
		if !slices.Contains(ds.Hosts, h.Ref) {
			return ds, fmt.Sprintf("the datastore %s is not mounted on the host %s", ds.Name, h.Name)
		}
	}
	return ds, ""
}

// datacenter is the one that a path lies in.
func (inv Inventory) datacenter(path string) Ref {
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

// there names the site in words.
func (inv Inventory) there() string {
	if inv.Site == "" {
		return "at the target"
	}
	return "at the site " + string(inv.Site)
}

// one finds the thing that a name or a path means.
func one[T any](inv Inventory, all []T, place func(T) Place, kind, name string) (T, string) {
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
		return zero, fmt.Sprintf("there is no %s %q %s", kind, name, inv.there())
	}
	return zero, fmt.Sprintf("%d %ss %s are called %q: give the path", len(found), kind, inv.there(), name)
}

// FindCluster finds a cluster by name or path.
func (inv Inventory) FindCluster(name string) (Cluster, string) {
	return one(inv, inv.Clusters, func(c Cluster) Place { return c.Place }, "cluster", name)
}

// FindVM finds a VM by path, UUID or name, as a site's spec names its
// transporter.
func (inv Inventory) FindVM(name string) (VM, string) {
	for _, v := range inv.VMs {
		if v.Path == name || strings.EqualFold(v.UUID, name) {
			return v, ""
		}
	}
	return one(inv, inv.VMs, func(v VM) Place { return v.Place }, "VM", name)
}

// storeOf is the name of a disk file's datastore: "[ds] dir/name.vmdk".
func storeOf(file string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(file, "["), "]")
	return name
}

// Room says which datastore has no room for disk files of these sizes; empty:
// all have.
func (inv Inventory) Room(disks map[string]int64) string {
	need := map[string]int64{}
	for file, size := range disks {
		need[storeOf(file)] += size
	}
	for _, d := range inv.Datastores {
		if n := need[d.Name]; n > d.Free {
			return fmt.Sprintf("the disks may grow to %s, and the datastore %s has %s free", bytes(n), d.Name, bytes(d.Free))
		}
	}
	return ""
}

// DatacenterOf is the datacenter of a disk file, "[ds] dir/name.vmdk".
func (inv Inventory) DatacenterOf(file string) Ref {
	name := storeOf(file)
	for _, d := range inv.Datastores {
		if d.Name == name {
			return inv.datacenter(d.Path)
		}
	}
	return inv.datacenter("")
}
