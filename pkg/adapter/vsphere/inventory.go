package vsphere

import (
	"context"
	"slices"
	"strings"

	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"tidemark.dev/pkg/contract/inventory"
)

// page is the most objects in one answer of the property collector.
const page = 500

// entities are the types that an inventory is made of, derived types included.
var entities = map[string][]string{
	"Datacenter":      {"name", "parent"},
	"Folder":          {"name", "parent", "childType"},
	"ComputeResource": {"name", "parent", "host", "resourcePool", "environmentBrowser", "configurationEx"},
	"HostSystem":      {"name", "parent", "runtime.connectionState", "runtime.inMaintenanceMode", "summary.config.product"},
	"Datastore":       {"name", "parent", "summary", "host"},
	"Network":         {"name", "parent", "summary", "tag"},
	"ResourcePool":    {"name", "parent"},
	"VirtualMachine":  append(slices.Clip(vmState), "config.changeVersion"),
}

// lifecycleSince is the API version that reports image-managed clusters.
const lifecycleSince = "7.0"

func (c *Client) wanted() []types.PropertySpec {
	specs := make([]types.PropertySpec, 0, len(entities))
	for kind, paths := range entities {
		if kind == "ComputeResource" && !older(c.v.ServiceContent.About.ApiVersion, lifecycleSince) {
			paths = append(slices.Clip(paths), "lifecycleManaged")
		}
		specs = append(specs, types.PropertySpec{Type: kind, PathSet: paths})
	}
	return specs
}

// Inventory reads everything in one pass of the property collector, the configurations
// that changed since the last reading, and the tags.
func (c *Client) Inventory(ctx context.Context) (inventory.Inventory, error) {
	inv := inventory.Inventory{About: c.about}
	const op = "read the inventory"
	var all *gathered
	err := c.do(ctx, op, c.host(), func(ctx context.Context, v *vim25.Client) (err error) {
		all, err = c.gather(ctx, v)
		return err
	})
	if err != nil {
		return inv, err
	}
	all.fill(&inv)
	if err := c.newest(ctx, all, inv.Hosts); err != nil {
		return inv, err
	}
	if err := c.addTags(ctx, inv.VMs); err != nil {
		return inv, err
	}
	return inv, nil
}

// gather reads everything but the tags. A VM that is deleted meanwhile fails the reading
// of configurations, and all is read again.
func (c *Client) gather(ctx context.Context, v *vim25.Client) (g *gathered, err error) {
	for range 5 {
		var objs []types.ObjectContent
		if objs, err = c.throughView(ctx, v, c.wanted()); err != nil {
			return nil, err
		}
		if g, err = gatherAll(objs); err != nil {
			return nil, err
		}
		if g.configs, err = c.configs(ctx, v, g); err == nil || !isFault[*types.ManagedObjectNotFound](err) {
			break
		}
	}
	return g, err
}

// cutOff is NotAuthenticated if the session ended during the call: then properties
// are missing instead of an error.
func cutOff(objs []types.ObjectContent) error {
	for _, o := range objs {
		for _, m := range o.MissingSet {
			if _, ok := m.Fault.Fault.(*types.NotAuthenticated); ok {
				return soap.WrapVimFault(m.Fault.Fault)
			}
		}
	}
	return nil
}

// bestEffort cleans up at the vCenter even if ctx has ended, but not for long.
func (c *Client) bestEffort(ctx context.Context, fn func(ctx context.Context) error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), min(c.cfg.Timeout, cleanUp))
	defer cancel()
	_ = fn(ctx) // what is left ends with the session
}

// hardwareNumber is the 19 of vmx-19.
func hardwareNumber(v string) int { return part([]string{strings.TrimPrefix(v, "vmx-")}, 0) }
