package vsphere

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/ovf"
	gtask "github.com/vmware/govmomi/task"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
)

const opImport = "deploy the appliance"

// Import deploys a VM from an OVA and leaves it powered off. It calls progress with
// rising percentages during the upload, never concurrently and never after Import
// returned. If ctx ends or something fails, it removes what was made.
//
// Invalid: the OVA is damaged or not supported, or a network has no mapping.
// Conflict: the name is taken.
func (c *Client) Import(ctx context.Context, i inventory.Import, progress func(percent int)) (inventory.Ref, error) {
	if err := c.nameFree(ctx, i); err != nil {
		return "", err
	}
	o, err := openOVA(ctx, i.OVA)
	if err != nil {
		return "", err
	}
	defer o.close()
	result, err := c.importSpec(ctx, o, i)
	if err != nil {
		return "", err
	}
	ref, err := c.upload(ctx, o, i, result, progress)
	if err != nil {
		return "", err
	}
	return refOf(&ref), nil
}

// nameFree fails early, before a large file is read.
func (c *Client) nameFree(ctx context.Context, i inventory.Import) error {
	folder, err := morOf(i.Folder, "Folder")
	if err != nil {
		return err
	}
	if i.Name == "" {
		return cdp.Errorf(cdp.Invalid, opImport, "", "the VM has no name")
	}
	return c.do(ctx, opImport, i.Name, func(ctx context.Context, v *vim25.Client) error {
		res, err := methods.FindChild(ctx, v, &types.FindChild{This: *v.ServiceContent.SearchIndex, Entity: folder, Name: i.Name})
		if err != nil {
			return err
		}
		if res.Returnval != nil {
			return cdp.Errorf(cdp.Conflict, opImport, i.Name, "the name is taken by %s", res.Returnval).
				WithHint("choose another name, or remove the object that has it")
		}
		return nil
	})
}

// importSpec has the vCenter read the descriptor, and adds our settings.
func (c *Client) importSpec(ctx context.Context, o *ova, i inventory.Import) (*types.OvfCreateImportSpecResult, error) {
	pool, err := morOf(i.Pool, "ResourcePool", "VirtualApp")
	if err != nil {
		return nil, err
	}
	store, err := morOf(i.Datastore, "Datastore")
	if err != nil {
		return nil, err
	}
	nets, err := mapNetworks(o, i)
	if err != nil {
		return nil, err
	}
	params := &types.OvfCreateImportSpecParams{
		EntityName:       i.Name,
		DiskProvisioning: string(types.OvfCreateImportSpecParamsDiskProvisioningTypeThin),
		NetworkMapping:   nets,
		PropertyMapping:  mapProperties(o.properties(), i.Guestinfo),
	}
	if i.Host != "" {
		host, err := morOf(i.Host, "HostSystem")
		if err != nil {
			return nil, err
		}
		params.HostSystem = &host
	}
	var result *types.OvfCreateImportSpecResult
	err = c.do(ctx, opImport, i.Name, func(ctx context.Context, v *vim25.Client) (err error) {
		result, err = ovf.NewManager(v).CreateImportSpec(ctx, string(o.ovf),
			object.NewResourcePool(v, pool), object.NewDatastore(v, store), params)
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(result.Error) > 0 {
		return nil, c.fail(ctx, opImport, i.Name, gtask.Error{LocalizedMethodFault: &result.Error[0]})
	}
	spec, ok := result.ImportSpec.(*types.VirtualMachineImportSpec)
	if !ok {
		return nil, o.wrong("the vCenter does not take it for one VM")
	}
	if i.Note != "" {
		spec.ConfigSpec.Annotation = i.Note
	}
	if o.desc.VirtualSystem.ID == inventory.OwnAppliance {
		ownAppliance(&spec.ConfigSpec, i.KeepData)
	}
	for _, m := range []map[string]string{i.Guestinfo, i.Extra} {
		for _, k := range slices.Sorted(maps.Keys(m)) {
			spec.ConfigSpec.ExtraConfig = append(spec.ConfigSpec.ExtraConfig, &types.OptionValue{Key: k, Value: m[k]})
		}
	}
	return result, nil
}

// ownAppliance marks a VM of Tidemark's own OVA, and leaves its data disk out if it gets
// another's.
func ownAppliance(c *types.VirtualMachineConfigSpec, keepData bool) {
	c.ExtraConfig = append(c.ExtraConfig, &types.OptionValue{Key: inventory.MarkData, Value: inventory.OwnData})
	if !keepData {
		return
	}
	c.DeviceChange = slices.DeleteFunc(c.DeviceChange, func(x types.BaseVirtualDeviceConfigSpec) bool {
		d, is := x.GetVirtualDeviceConfigSpec().Device.(*types.VirtualDisk)
		return is && d.UnitNumber != nil && *d.UnitNumber == 1
	})
}

// mapNetworks gives every network of the descriptor one of the vCenter's.
func mapNetworks(o *ova, i inventory.Import) ([]types.OvfNetworkMapping, error) {
	names := o.networks()
	for _, n := range slices.Sorted(maps.Keys(i.Networks)) {
		if n != "" && !slices.Contains(names, n) {
			return nil, cdp.Errorf(cdp.Invalid, opImport, i.Name, "the OVA has no network %q; it has %s", n, strings.Join(names, ", "))
		}
	}
	var out []types.OvfNetworkMapping
	for _, n := range names {
		to, ok := i.Networks[n]
		if !ok {
			to, ok = i.Networks[""]
		}
		if !ok {
			return nil, cdp.Errorf(cdp.Invalid, opImport, i.Name, "no network is given for the OVA's network %q", n)
		}
		ref, err := morOf(to, "Network", "DistributedVirtualPortgroup", "OpaqueNetwork")
		if err != nil {
			return nil, err
		}
		out = append(out, types.OvfNetworkMapping{Name: n, Network: ref})
	}
	return out, nil
}

// mapProperties also sets the properties that the descriptor declares, with or
// without the prefix.
func mapProperties(declared []string, guestinfo map[string]string) []types.KeyValue {
	var out []types.KeyValue
	for _, key := range declared {
		v, ok := guestinfo[key]
		if !ok {
			v, ok = guestinfo["guestinfo."+key]
		}
		if ok {
			out = append(out, types.KeyValue{Key: key, Value: v})
		}
	}
	return out
}
