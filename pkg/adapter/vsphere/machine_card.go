package vsphere

import (
	"context"
	"reflect"
	"strconv"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
)

func itoa(n int) string { return strconv.Itoa(n) }

// cardKeys is the first temporary key of NICs.
const cardKeys int32 = -300

// cards adds NICs, in order, each on the network given for its key.
func (c *Client) cards(ctx context.Context, op, subject string, nics []inventory.NIC, networks map[int32]inventory.Ref, keepMAC bool) ([]types.BaseVirtualDeviceConfigSpec, error) {
	var out []types.BaseVirtualDeviceConfigSpec
	for i, n := range nics {
		net, ok := networks[n.Key]
		if !ok {
			return nil, cdp.Errorf(cdp.Invalid, op, subject, "no network is given for %s on %q", nicName(n), n.NetName).
				WithHint("map that network")
		}
		d, err := newCard(n.Kind)
		if err != nil {
			return nil, cdp.Errorf(cdp.Invalid, op, subject, "%s: %w", nicName(n), err)
		}
		backing, err := c.backing(ctx, op, net)
		if err != nil {
			return nil, err
		}
		card := d.GetVirtualEthernetCard()
		card.Key, card.Backing = cardKeys-int32(i), backing
		card.WakeOnLanEnabled = types.NewBool(true)
		card.Connectable = &types.VirtualDeviceConnectInfo{StartConnected: n.Connected, AllowGuestControl: true, Connected: n.Connected}
		setMAC(card, n, keepMAC)
		out = append(out, change(types.VirtualDeviceConfigSpecOperationAdd, d.(types.BaseVirtualDevice)))
	}
	return out, nil
}

func setMAC(card *types.VirtualEthernetCard, n inventory.NIC, keep bool) {
	if keep && n.MAC != "" {
		card.AddressType, card.MacAddress = string(types.VirtualEthernetCardMacTypeManual), n.MAC
		return
	}
	card.AddressType, card.MacAddress = string(types.VirtualEthernetCardMacTypeGenerated), ""
}

// backing connects a NIC to a network.
func (c *Client) backing(ctx context.Context, op string, network inventory.Ref) (types.BaseVirtualDeviceBackingInfo, error) {
	ref, err := morOf(network, "Network", "DistributedVirtualPortgroup", "OpaqueNetwork")
	if err != nil {
		return nil, err
	}
	var out types.BaseVirtualDeviceBackingInfo
	err = c.do(ctx, op, string(network), func(ctx context.Context, v *vim25.Client) error {
		r, err := object.NewReference(v, ref).(object.NetworkReference).EthernetCardBackingInfo(ctx)
		out = r
		return err
	})
	return out, err
}

// sameBacking reports whether a NIC's backing is on the network of want. A vCenter
// adds details to a backing, such as the port.
func sameBacking(has, want types.BaseVirtualDeviceBackingInfo) bool {
	switch h := has.(type) {
	case *types.VirtualEthernetCardNetworkBackingInfo:
		w, ok := want.(*types.VirtualEthernetCardNetworkBackingInfo)
		return ok && h.DeviceName == w.DeviceName
	case *types.VirtualEthernetCardDistributedVirtualPortBackingInfo:
		w, ok := want.(*types.VirtualEthernetCardDistributedVirtualPortBackingInfo)
		return ok && h.Port.PortgroupKey == w.Port.PortgroupKey && h.Port.SwitchUuid == w.Port.SwitchUuid
	case *types.VirtualEthernetCardOpaqueNetworkBackingInfo:
		w, ok := want.(*types.VirtualEthernetCardOpaqueNetworkBackingInfo)
		return ok && h.OpaqueNetworkId == w.OpaqueNetworkId
	}
	return reflect.DeepEqual(has, want)
}

// Connect connects NICs, by device key, to networks. The VM may be running.
func (c *Client) Connect(ctx context.Context, vm inventory.Ref, networks map[int32]inventory.Ref) error {
	const op = "connect NICs"
	ref, err := vmRef(vm)
	if err != nil {
		return err
	}
	unlock, err := c.locks.Lock(ctx, ref)
	if err != nil {
		return c.fail(ctx, op, ref.String(), err)
	}
	defer unlock()
	return c.rework(ctx, op, ref, func(m mo.VirtualMachine) (*types.VirtualMachineConfigSpec, error) {
		var spec types.VirtualMachineConfigSpec
		found := map[int32]bool{}
		for _, d := range cardsOf(m.Config.Hardware.Device) {
			card := d.GetVirtualEthernetCard()
			net, ok := networks[card.Key]
			if !ok {
				continue
			}
			found[card.Key] = true
			backing, err := c.backing(ctx, op, net)
			if err != nil {
				return nil, err
			}
			if sameBacking(card.Backing, backing) {
				continue
			}
			card.Backing, card.SubnetId = backing, ""
			spec.DeviceChange = append(spec.DeviceChange, change(types.VirtualDeviceConfigSpecOperationEdit, d.(types.BaseVirtualDevice)))
		}
		for key := range networks {
			if !found[key] {
				return nil, cdp.Errorf(cdp.NotFound, op, ref.String(), "it has no NIC %d", key)
			}
		}
		if len(spec.DeviceChange) == 0 {
			return nil, nil
		}
		return &spec, nil
	})
}

func nicName(n inventory.NIC) string {
	if n.Label != "" {
		return n.Label
	}
	return "NIC " + itoa(int(n.Key))
}
