package vsphere

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"github.com/vmware/govmomi/view"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
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
	"VirtualMachine":  vmProperties,
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

// Inventory reads everything in one pass of the property collector, and the tags.
func (c *Client) Inventory(ctx context.Context) (inventory.Inventory, error) {
	inv := inventory.Inventory{About: c.about}
	const op = "read the inventory"
	var objs []types.ObjectContent
	err := c.do(ctx, op, c.host(), func(ctx context.Context, v *vim25.Client) (err error) {
		objs, err = c.retrieveAll(ctx, v)
		return err
	})
	if err != nil {
		return inv, err
	}
	all, err := gatherAll(objs)
	if err != nil {
		return inv, c.fail(ctx, op, c.host(), err)
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

// retrieveAll reads the properties of all entities through one view.
func (c *Client) retrieveAll(ctx context.Context, v *vim25.Client) ([]types.ObjectContent, error) {
	return c.throughView(ctx, v, v.ServiceContent.RootFolder, c.wanted())
}

// throughView reads properties of everything of these types below a container.
func (c *Client) throughView(ctx context.Context, v *vim25.Client, root types.ManagedObjectReference, specs []types.PropertySpec) ([]types.ObjectContent, error) {
	kinds := make([]string, len(specs))
	for i, s := range specs {
		kinds[i] = s.Type
	}
	all, err := view.NewManager(v).CreateContainerView(ctx, root, kinds, true)
	if err != nil {
		return nil, err
	}
	defer c.bestEffort(ctx, all.Destroy)
	objs, err := mo.RetrievePropertiesEx(ctx, v, types.RetrievePropertiesEx{
		This: v.ServiceContent.PropertyCollector,
		SpecSet: []types.PropertyFilterSpec{{
			ObjectSet: []types.ObjectSpec{inView(all.Reference())},
			PropSet:   specs,
		}},
		Options: types.RetrieveOptions{MaxObjects: page},
	})
	if err != nil {
		return nil, err
	}
	return objs, cutOff(objs)
}

// inView selects what is in a view, not the view.
func inView(v types.ManagedObjectReference) types.ObjectSpec {
	return types.ObjectSpec{
		Obj: v, Skip: types.NewBool(true),
		SelectSet: []types.BaseSelectionSpec{&types.TraversalSpec{Type: v.Type, Path: "view"}},
	}
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

// newest asks each compute resource which hardware versions its hosts support.
func (c *Client) newest(ctx context.Context, all *gathered, hosts []inventory.Host) error {
	for _, cr := range all.computes {
		if cr.EnvironmentBrowser == nil {
			continue
		}
		var res *types.QueryConfigOptionDescriptorResponse
		err := c.do(ctx, "read the hardware versions of", cr.Name, func(ctx context.Context, v *vim25.Client) (err error) {
			res, err = methods.QueryConfigOptionDescriptor(ctx, v, &types.QueryConfigOptionDescriptor{This: *cr.EnvironmentBrowser})
			return err
		})
		if ctx.Err() != nil {
			return err
		}
		if err != nil {
			continue // a host that did not tell has none; a cluster without hosts cannot
		}
		for _, d := range res.Returnval {
			for i := range hosts {
				h := &hosts[i]
				runs := slices.ContainsFunc(d.Host, func(r types.ManagedObjectReference) bool { return refOf(&r) == h.Ref })
				if runs && hardwareNumber(d.Key) > hardwareNumber(h.Newest) {
					h.Newest = d.Key
				}
			}
		}
	}
	return nil
}

// hardwareNumber is the 19 of vmx-19.
func hardwareNumber(v string) int { return part([]string{strings.TrimPrefix(v, "vmx-")}, 0) }

// unescape reverses the vCenter's escaping of / \ and % in names.
func unescape(name string) string {
	if s, err := url.PathUnescape(name); err == nil {
		return s
	}
	return name
}
