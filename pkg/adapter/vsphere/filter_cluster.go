package vsphere

import (
	"context"
	"strings"

	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
)

// filterSince is the oldest ESXi with the I/O filters that we support.
const filterSince = "6.5"

// filterCluster is a cluster as the I/O filter manager sees it.
type filterCluster struct {
	Self    types.ManagedObjectReference
	Name    string
	manager types.ManagedObjectReference
	image   bool // its software is kept by an image
	hosts   []mo.HostSystem
}

// cluster reads a cluster. The compute resource of a single host is not one.
func (c *Client) cluster(ctx context.Context, op string, ref inventory.Ref) (*filterCluster, error) {
	m, err := morOf(ref)
	if err != nil {
		return nil, err
	}
	if c.about.ESX || c.v.ServiceContent.IoFilterManager == nil {
		return nil, cdp.Errorf(cdp.Conflict, op, string(ref), "only a vCenter manages I/O filters, and this is a single ESXi host").
			WithHint("add the host to a cluster of a vCenter, or protect its VMs by changed block tracking")
	}
	if m.Type != "ClusterComputeResource" {
		return nil, cdp.Errorf(cdp.Conflict, op, string(ref), "I/O filters are managed per cluster, and this is not a cluster").
			WithHint("add the host to a cluster, or protect its VMs by changed block tracking")
	}
	cl := &filterCluster{Self: m, manager: *c.v.ServiceContent.IoFilterManager}
	err = c.do(ctx, op, string(ref), func(ctx context.Context, v *vim25.Client) error {
		paths := []string{"name", "host"}
		if !older(v.ServiceContent.About.ApiVersion, lifecycleSince) {
			paths = append(paths, "lifecycleManaged")
		}
		objs, err := retrieve(ctx, v, []types.ManagedObjectReference{m}, m.Type, paths)
		if err != nil {
			return err
		}
		g, err := gatherAll(objs)
		if err != nil {
			return err
		}
		if len(g.computes) != 1 {
			return cdp.Errorf(cdp.NotFound, op, string(ref), "there is no such cluster")
		}
		cr := g.computes[0]
		cl.Name, cl.image = inventory.Unescape(cr.Name), isTrue(cr.LifecycleManaged)
		if len(cr.Host) == 0 {
			return nil
		}
		objs, err = retrieve(ctx, v, cr.Host, "HostSystem", []string{
			"name", "runtime.connectionState", "runtime.inMaintenanceMode", "summary.config.product", "summary.rebootRequired", "config.ioFilterInfo",
		})
		if err != nil {
			return err
		}
		if g, err = gatherAll(objs); err == nil {
			cl.hosts = g.hosts
		}
		return err
	})
	return cl, err
}

// takes is an error if no filter can be installed, upgraded or removed on it.
func (cl *filterCluster) takes(op string) error {
	if cl.image {
		return cdp.Errorf(cdp.Conflict, op, cl.Name, "an image (vSphere Lifecycle Manager) manages the cluster's software, so I/O filters cannot be installed separately").
			WithHint("manage the cluster with baselines instead of an image, or protect its VMs by changed block tracking")
	}
	if len(cl.hosts) == 0 {
		return cdp.Errorf(cdp.Conflict, op, cl.Name, "the cluster has no hosts")
	}
	var old []string
	lines := map[string]string{} // a host of each line of versions
	order := []string{}
	for _, h := range cl.hosts {
		p := h.Summary.Config.Product
		if p == nil {
			continue // a host that is not connected does not tell; the install's issues will
		}
		name := inventory.Unescape(h.Name)
		if older(p.Version, filterSince) {
			old = append(old, name+" ("+p.Version+")")
		}
		line := majorMinor(p.Version)
		if _, ok := lines[line]; !ok {
			lines[line] = name
			order = append(order, line)
		}
	}
	if len(old) > 0 {
		return cdp.Errorf(cdp.Conflict, op, cl.Name, "hosts are older than ESXi %s: %s", filterSince, strings.Join(old, ", ")).
			WithHint("upgrade these hosts, or move them out of the cluster")
	}
	if len(order) > 1 {
		return cdp.Errorf(cdp.Conflict, op, cl.Name, "its hosts are of different versions: %s is %s, %s is %s",
			lines[order[0]], order[0], lines[order[1]], order[1]).
			WithHint("bring all hosts of the cluster to the same version first: a filter bundle is for one version")
	}
	return nil
}

// majorMinor is the 8.0 of 8.0.3.
func majorMinor(v string) string {
	f := strings.SplitN(v, ".", 3)
	return strings.Join(f[:min(2, len(f))], ".")
}
