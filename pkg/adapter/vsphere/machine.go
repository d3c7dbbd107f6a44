package vsphere

import (
	"context"
	"maps"
	"strings"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
)

// Settings of the VMs that we make.
const (
	// settingKeepMAC marks a VM whose NICs have the source's MAC addresses.
	settingKeepMAC = "tidemark.keepMAC"
	// settingBlocked is the reason why the VM must not be powered on.
	settingBlocked = "tidemark.blocked"
	// settingIdentity is a hash of the guest's last customization.
	settingIdentity = "tidemark.identity"
)

// MakeVM makes a VM without disks, with the source's controllers at the same
// addresses for its disks. Conflict: the name is taken. Invalid: a NIC has no
// network, or something is not supported. If ctx ends, the VM may still be made:
// look for its name.
func (c *Client) MakeVM(ctx context.Context, m inventory.Make) (inventory.Ref, error) {
	const op = "make a VM"
	folder, err := morOf(m.Folder, "Folder")
	if err != nil {
		return "", err
	}
	pool, err := morOf(m.Pool, "ResourcePool", "VirtualApp")
	if err != nil {
		return "", err
	}
	store, err := morOf(m.Datastore, "Datastore")
	if err != nil {
		return "", err
	}
	var host *object.HostSystem
	if m.Host != "" {
		r, err := morOf(m.Host, "HostSystem")
		if err != nil {
			return "", err
		}
		host = object.NewHostSystem(c.v, r)
	}
	if m.Name == "" {
		return "", cdp.Errorf(cdp.Invalid, op, "", "it has no name")
	}
	spec, err := c.making(ctx, op, m)
	if err != nil {
		return "", err
	}
	res, err := c.task(ctx, op, m.Name, func(ctx context.Context, v *vim25.Client) (*object.Task, error) {
		var ds mo.Datastore
		if err := property.DefaultCollector(v).RetrieveOne(ctx, store, []string{"name"}, &ds); err != nil {
			return nil, err
		}
		spec.Files = &types.VirtualMachineFileInfo{VmPathName: inventory.JoinFile(ds.Name, "")}
		return object.NewFolder(v, folder).CreateVM(ctx, spec, object.NewResourcePool(v, pool), host)
	})
	if err != nil {
		return "", err
	}
	made, ok := res.(types.ManagedObjectReference)
	if !ok {
		return "", cdp.Errorf(cdp.Internal, op, m.Name, "the task's result is a %T, not a VM", res)
	}
	return refOf(&made), nil
}

// making is the specification of a VM that is to be made.
func (c *Client) making(ctx context.Context, op string, m inventory.Make) (types.VirtualMachineConfigSpec, error) {
	h := m.Hardware
	spec := types.VirtualMachineConfigSpec{
		Name: m.Name, Annotation: m.Note, Version: h.Version, GuestId: h.GuestID, Firmware: h.Firmware,
		NumCPUs: h.CPUs, MemoryMB: h.MemoryMB, Uuid: m.BIOSUUID,
	}
	if h.PerSocket > 0 {
		spec.NumCoresPerSocket = types.NewInt32(h.PerSocket)
	}
	shapeOptions(&spec, inventory.Hardware{}, h)
	if h.SecureBoot {
		spec.BootOptions = &types.VirtualMachineBootOptions{EfiSecureBootEnabled: types.NewBool(true)}
	}
	for i, k := range h.Controllers {
		k.Key = busKeys - int32(i)
		if d := newController(k); d != nil {
			spec.DeviceChange = append(spec.DeviceChange, change(types.VirtualDeviceConfigSpecOperationAdd, d))
		}
	}
	adds, err := c.cards(ctx, op, m.Name, h.NICs, m.Networks, m.KeepMAC)
	if err != nil {
		return spec, err
	}
	spec.DeviceChange = append(spec.DeviceChange, adds...)
	// A VM with another VM's disks asks at its first start whether it was moved or
	// copied, and hangs until somebody answers.
	extra := map[string]string{"uuid.action": "keep"}
	maps.Copy(extra, h.Extra)
	maps.Copy(extra, m.Extra)
	if m.KeepMAC {
		extra[settingKeepMAC] = "TRUE"
		maps.Copy(extra, anyMAC(h.NICs))
	}
	spec.ExtraConfig = changedSettings(nil, extra)
	return spec, nil
}

// anyMAC are the settings that allow starting a VM with the MAC addresses of nics:
// a host refuses addresses of VMware's generated ranges that were set by hand.
func anyMAC(nics []inventory.NIC) map[string]string {
	out := map[string]string{}
	for i, n := range nics {
		if m := strings.ToLower(n.MAC); strings.HasPrefix(m, "00:50:56:") || strings.HasPrefix(m, "00:0c:29:") {
			out["ethernet"+itoa(i)+".checkMACAddress"] = "FALSE"
		}
	}
	return out
}
