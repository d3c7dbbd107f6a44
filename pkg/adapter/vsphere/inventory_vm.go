package vsphere

import (
	"context"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
)

// vmProperties are what vmOf reads.
var vmProperties = []string{
	"name", "parent", "parentVApp", "network",
	"config.instanceUuid", "config.uuid", "config.template", "config.annotation", "config.version", "config.guestId",
	"config.hardware", "config.firmware", "config.bootOptions", "config.nestedHVEnabled", "config.cpuHotAddEnabled", "config.memoryHotAddEnabled", "config.flags", "config.keyId", "config.managedBy", "config.extraConfig", "config.changeTrackingEnabled",
	"runtime.host", "runtime.powerState", "runtime.connectionState", "runtime.consolidationNeeded", "snapshot",
	"guestHeartbeatStatus", "guest.toolsRunningStatus", "guest.hostName", "guest.guestFamily", "guest.net", "guest.ipStack",
}

// VM finds one by its instance UUID.
func (c *Client) VM(ctx context.Context, uuid string) (inventory.VM, error) {
	const op = "look up the VM"
	var out inventory.VM
	err := c.do(ctx, op, uuid, func(ctx context.Context, v *vim25.Client) error {
		found, err := object.NewSearchIndex(v).FindByUuid(ctx, nil, uuid, true, types.NewBool(true))
		if err != nil {
			return err
		}
		if found == nil {
			return cdp.Errorf(cdp.NotFound, op, uuid, "no VM has this instance UUID")
		}
		out, err = c.readVM(ctx, v, found.Reference())
		return err
	})
	if err != nil {
		return out, err
	}
	one := []inventory.VM{out}
	err = c.addTags(ctx, one)
	return one[0], err
}

// readVM reads one VM, with the names of its networks and its path.
func (c *Client) readVM(ctx context.Context, v *vim25.Client, ref types.ManagedObjectReference) (inventory.VM, error) {
	pc := v.ServiceContent.PropertyCollector
	objs, err := retrieve(ctx, v, []types.ManagedObjectReference{ref}, "VirtualMachine", vmProperties)
	if err != nil {
		return inventory.VM{}, err
	}
	g, err := gatherAll(objs)
	if err != nil {
		return inventory.VM{}, err
	}
	if len(g.machines) != 1 {
		return inventory.VM{}, cdp.Errorf(cdp.NotFound, "read the VM", ref.String(), "it is gone")
	}
	m := &g.machines[0]
	up, err := mo.Ancestors(ctx, v, pc, ref)
	if err != nil {
		return inventory.VM{}, err
	}
	for _, e := range up {
		if e.Self != v.ServiceContent.RootFolder && e.Self != ref {
			g.add(e.Self, e.Name, e.Parent)
		}
	}
	if len(m.Network) > 0 {
		objs, err := retrieve(ctx, v, m.Network, "Network", []string{"name", "summary"})
		if err != nil {
			return inventory.VM{}, err
		}
		nets, err := gatherAll(objs)
		if err != nil {
			return inventory.VM{}, err
		}
		g.networkOf = nets.networkOf
	}
	return vmOf(m, g.place(ref), g.networkOf), nil
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

func vmOf(m *mo.VirtualMachine, at inventory.Place, nets networks) inventory.VM {
	out := inventory.VM{
		Place: at, Host: refOf(m.Runtime.Host), Power: powerOf(m.Runtime.PowerState), State: string(m.Runtime.ConnectionState),
		Consolidate: m.Runtime.ConsolidationNeeded, Snapshots: snapshotsOf(m.Snapshot),
		Guest: guestOf(m.Guest, string(m.GuestHeartbeatStatus)),
		VApp:  m.Parent == nil && m.ParentVApp != nil,
	}
	if c := m.Config; c != nil {
		out.UUID, out.BIOSUUID, out.Template, out.Note = c.InstanceUuid, c.Uuid, c.Template, c.Annotation
		out.BootOrder = bootOrder(c.BootOptions)
		out.Tracking = isTrue(c.ChangeTrackingEnabled)
		if c.ManagedBy != nil {
			out.Manager = c.ManagedBy.ExtensionKey
		}
		out.Hardware = hardwareOf(c)
		nets.name(out.Hardware.NICs)
	}
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
		n := named{ref: refOf(&m.Self), name: unescape(m.Name)}
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
