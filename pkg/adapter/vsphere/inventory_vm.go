package vsphere

import (
	"context"
	"slices"
	"strings"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
)

// vmState and vmConfig are what vmOf and configured read.
var (
	vmState = []string{
		"name", "parent", "parentVApp",
		"runtime.host", "runtime.powerState", "runtime.connectionState", "runtime.consolidationNeeded", "snapshot",
		"guestHeartbeatStatus", "guest.toolsRunningStatus", "guest.hostName", "guest.guestFamily", "guest.net", "guest.ipStack",
	}
	vmConfig = []string{
		"config.changeVersion", "config.instanceUuid", "config.uuid", "config.template", "config.annotation", "config.version", "config.guestId",
		"config.hardware", "config.firmware", "config.bootOptions", "config.nestedHVEnabled", "config.cpuHotAddEnabled", "config.memoryHotAddEnabled", "config.flags", "config.keyId", "config.managedBy", "config.extraConfig", "config.changeTrackingEnabled",
	}
	vmProperties = slices.Concat(vmState, vmConfig)
)

// VM finds one by its instance UUID.
func (c *Client) VM(ctx context.Context, uuid string) (inventory.VM, error) {
	const op = "look up the VM"
	var out inventory.VM
	err := c.do(ctx, op, uuid, func(ctx context.Context, v *vim25.Client) (err error) {
		if ref, known := c.refs.get(uuid); known {
			out, err = c.readVM(ctx, v, ref)
			if err == nil && strings.EqualFold(out.UUID, uuid) {
				return nil
			}
			if err != nil && !isFault[*types.ManagedObjectNotFound](err) && !cdp.Is(err, cdp.NotFound) {
				return err
			}
			c.refs.forget([]string{uuid}) // it is elsewhere now, or the vCenter cannot reach it
		}
		found, err := object.NewSearchIndex(v).FindByUuid(ctx, nil, uuid, true, types.NewBool(true))
		if err != nil {
			return err
		}
		if found == nil {
			return cdp.Errorf(cdp.NotFound, op, uuid, "no VM has this instance UUID")
		}
		if out, err = c.readVM(ctx, v, found.Reference()); err == nil {
			c.refs.set(uuid, found.Reference())
		}
		return err
	})
	if err != nil {
		return out, err
	}
	one := []inventory.VM{out}
	err = c.addTags(ctx, one)
	return one[0], err
}

// readVM reads one VM, with the names of its networks and its path, in one call.
func (c *Client) readVM(ctx context.Context, v *vim25.Client, ref types.ManagedObjectReference) (inventory.VM, error) {
	up := &types.SelectionSpec{Name: "up"}
	objs, err := mo.RetrievePropertiesEx(ctx, v, types.RetrievePropertiesEx{
		This: v.ServiceContent.PropertyCollector,
		SpecSet: []types.PropertyFilterSpec{{
			ObjectSet: []types.ObjectSpec{{Obj: ref, SelectSet: []types.BaseSelectionSpec{
				&types.TraversalSpec{SelectionSpec: *up, Type: "ManagedEntity", Path: "parent", SelectSet: []types.BaseSelectionSpec{up}},
				&types.TraversalSpec{Type: "VirtualMachine", Path: "parentVApp", SelectSet: []types.BaseSelectionSpec{up}},
				&types.TraversalSpec{Type: "VirtualMachine", Path: "network"},
			}}},
			PropSet: []types.PropertySpec{
				{Type: "ManagedEntity", PathSet: []string{"name", "parent"}},
				{Type: "VirtualMachine", PathSet: slices.DeleteFunc(slices.Clone(vmProperties), func(p string) bool { return p == "name" || p == "parent" })},
				{Type: "Network", PathSet: []string{"summary"}},
			},
		}},
	})
	if err == nil {
		err = cutOff(objs)
	}
	if err != nil {
		return inventory.VM{}, err
	}
	g, err := gatherAll(slices.DeleteFunc(objs, func(o types.ObjectContent) bool { return o.Obj == v.ServiceContent.RootFolder }))
	if err != nil {
		return inventory.VM{}, err
	}
	if len(g.machines) != 1 {
		return inventory.VM{}, cdp.Errorf(cdp.NotFound, "read the VM", ref.String(), "it is gone")
	}
	m := &g.machines[0]
	return vmOf(m, configured(m.Config), g.place(ref), g.networkOf), nil
}

// retrieve reads properties of a few objects; what they lack is left out.
func retrieve(ctx context.Context, v *vim25.Client, of []types.ManagedObjectReference, kind string, paths []string) ([]types.ObjectContent, error) {
	spec := types.PropertyFilterSpec{PropSet: []types.PropertySpec{{Type: kind, PathSet: paths}}}
	for _, o := range of {
		spec.ObjectSet = append(spec.ObjectSet, types.ObjectSpec{Obj: o})
	}
	res, err := property.DefaultCollector(v).RetrieveProperties(ctx, types.RetrieveProperties{SpecSet: []types.PropertyFilterSpec{spec}})
	if err != nil {
		return nil, err
	}
	return res.Returnval, cutOff(res.Returnval)
}

// vmOf is a VM: what its configuration says, and its state.
func vmOf(m *mo.VirtualMachine, out inventory.VM, at inventory.Place, nets networks) inventory.VM {
	out.Place, out.Host, out.Power, out.State = at, refOf(m.Runtime.Host), powerOf(m.Runtime.PowerState), string(m.Runtime.ConnectionState)
	out.Consolidate, out.Snapshots = m.Runtime.ConsolidationNeeded, snapshotsOf(m.Snapshot)
	out.Guest = guestOf(m.Guest, string(m.GuestHeartbeatStatus))
	out.VApp = m.Parent == nil && m.ParentVApp != nil
	nets.name(out.Hardware.NICs)
	return out
}

// configured is a VM with what its configuration says, if it has one, and nothing else.
func configured(c *types.VirtualMachineConfigInfo) (out inventory.VM) {
	if c == nil {
		return out
	}
	out.UUID, out.BIOSUUID, out.Template, out.Note = c.InstanceUuid, c.Uuid, c.Template, c.Annotation
	out.BootOrder = bootOrder(c.BootOptions)
	out.Tracking = isTrue(c.ChangeTrackingEnabled)
	if c.ManagedBy != nil {
		out.Manager = c.ManagedBy.ExtensionKey
	}
	out.Hardware = hardwareOf(c)
	return out
}

func powerOf(s types.VirtualMachinePowerState) inventory.Power {
	switch s {
	case types.VirtualMachinePowerStatePoweredOn:
		return inventory.PoweredOn
	case types.VirtualMachinePowerStateSuspended:
		return inventory.Suspended
	}
	return inventory.PoweredOff
}

// networks finds a network by its reference, and an opaque one by its id.
type networks map[string]named

type named struct {
	ref  inventory.Ref
	name string
}

func networksOf(nets []mo.Network) networks {
	out := make(networks, len(nets))
	for _, m := range nets {
		n := named{ref: refOf(&m.Self), name: inventory.Unescape(m.Name)}
		out[string(n.ref)] = n
		if s, ok := m.Summary.(*types.OpaqueNetworkSummary); ok {
			out[s.OpaqueNetworkId] = n
		}
	}
	return out
}

// name puts names on NICs, and references on those that have only an id.
func (ns networks) name(nics []inventory.NIC) {
	for i := range nics {
		n := &nics[i]
		by := string(n.Network)
		if by == "" {
			by = n.NetName
		}
		if found, ok := ns[by]; ok {
			n.Network, n.NetName = found.ref, found.name
		}
	}
}

// bootOrder are the kinds of devices that a VM boots from, if that was set.
func bootOrder(o *types.VirtualMachineBootOptions) (kinds []string) {
	if o == nil {
		return nil
	}
	for _, d := range o.BootOrder {
		switch d.(type) {
		case *types.VirtualMachineBootOptionsBootableDiskDevice:
			kinds = append(kinds, "disk")
		case *types.VirtualMachineBootOptionsBootableEthernetDevice:
			kinds = append(kinds, "network")
		case *types.VirtualMachineBootOptionsBootableCdromDevice:
			kinds = append(kinds, "CD")
		default:
			kinds = append(kinds, "floppy")
		}
	}
	return kinds
}
