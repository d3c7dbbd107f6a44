package vmpolicy

import (
	"fmt"
	"slices"
	"strings"

	"tidemark.dev/pkg/contract/inventory"
)

// Placement is where replicas are created at a target.
type Placement struct {
	Datacenter inventory.Ref
	Host       inventory.Ref // "": DRS chooses
	Pool       inventory.Ref
	Folder     inventory.Ref
	Hosts      []inventory.Host // that may run a replica
	Home       inventory.Datastore
}

// Place resolves the names of a job's target.
func Place(inv inventory.Inventory, t inventory.JobTarget) (Placement, []inventory.Problem) {
	var p Placement
	var problems []inventory.Problem
	bad := func(field, rule, format string, args ...any) {
		problems = append(problems, inventory.Problem{Path: "/spec/target/" + field, Rule: rule, Text: fmt.Sprintf(format, args...)})
	}
	var cluster *inventory.Cluster
	if t.Host != "" {
		h, why := inv.FindHost(t.Host)
		if why != "" {
			bad("host", "reference", "%s", why)
		} else {
			p.Host, p.Hosts = h.Ref, []inventory.Host{h}
			if i := slices.IndexFunc(inv.Clusters, func(c inventory.Cluster) bool { return c.Ref == h.Cluster }); i >= 0 {
				cluster = &inv.Clusters[i]
			}
		}
	} else {
		c, why := inv.FindCluster(t.Cluster)
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
	up := slices.DeleteFunc(slices.Clone(p.Hosts), func(h inventory.Host) bool { return h.State != "connected" || h.Maintenance })
	if len(p.Hosts) > 0 && len(up) == 0 {
		bad(map[bool]string{true: "host", false: "cluster"}[t.Host != ""], "state", "no host is connected and not in maintenance mode")
	}
	if cluster != nil {
		p.Pool = cluster.Pool
		if p.Host == "" && !cluster.DRS {
			p.Host = leastUsed(inv, up)
		}
	}
	if t.Pool != "" {
		pool, why := inv.FindPool(t.Pool)
		if why != "" {
			bad("pool", "reference", "%s", why)
		} else if cluster != nil && !strings.HasPrefix(pool.Path, cluster.Path+"/") {
			bad("pool", "reference", "the resource pool %s belongs to another cluster than %s", pool.Path, cluster.Path)
		}
		p.Pool = pool.Ref
	}
	ds, why := mounted(inv, t.Datastore, p.Hosts)
	if why != "" {
		bad("datastore", "reference", "%s", why)
	}
	p.Home = ds
	p.Datacenter = inv.DatacenterAt(ds.Path)
	p.Folder = placeFolder(inv, t.Folder, p.Datacenter, bad)
	for i, d := range t.Disks {
		at := fmt.Sprintf("disks/%d/datastore", i)
		if other, why := mounted(inv, d.Datastore, p.Hosts); why != "" {
			bad(at, "reference", "%s", why)
		} else if inv.DatacenterAt(other.Path) != p.Datacenter {
			bad(at, "reference", "the datastore %s is in another datacenter than %s: a VM's disks must be in one datacenter", other.Path, ds.Path)
		}
	}
	return p, problems
}

// leastUsed is the host with the fewest VMs; of several the first.
func leastUsed(inv inventory.Inventory, hosts []inventory.Host) inventory.Ref {
	vms := map[inventory.Ref]int{}
	for _, v := range inv.VMs {
		vms[v.Host]++
	}
	best := inventory.Ref("")
	for _, h := range hosts {
		if best == "" || vms[h.Ref] < vms[best] {
			best = h.Ref
		}
	}
	return best
}

func placeFolder(inv inventory.Inventory, name string, dc inventory.Ref, bad func(field, rule, format string, args ...any)) inventory.Ref {
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
	f, why := inv.FindFolder(name)
	if why != "" {
		bad("folder", "reference", "%s", why)
	} else if dcPath != "" && !strings.HasPrefix(f.Path, dcPath+"/") {
		bad("folder", "reference", "the folder %s is in another datacenter than the datastore", f.Path)
	}
	return f.Ref
}

// mounted finds a datastore that is accessible and mounted on all of the hosts.
func mounted(inv inventory.Inventory, name string, hosts []inventory.Host) (inventory.Datastore, string) {
	ds, why := inv.FindDatastore(name)
	if why != "" {
		return ds, why
	}
	if strings.ContainsAny(ds.Name, oddNames) {
		return ds, fmt.Sprintf("the datastore %q has a bracket, slash or percent sign in its name, which paths of files cannot have: rename it", ds.Name)
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

// NoRoom says in words which datastore of a datacenter has no room for disk files of
// these sizes; it is empty if all have.
func NoRoom(inv inventory.Inventory, dc inventory.Ref, disks map[string]int64) string {
	for _, d := range inv.Inside(dc) {
		n := int64(0)
		for file, size := range disks {
			if d.Holds(file) {
				n += size
			}
		}
		if n > d.Free {
			return fmt.Sprintf("the disks may grow to %s, but the datastore %s has %s free", bytes(n), d.Name, bytes(d.Free))
		}
	}
	return ""
}
