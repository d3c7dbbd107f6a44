package vsphere

import (
	"testing"

	"github.com/vmware/govmomi/vim25/types"

	"tidemark.dev/pkg/contract/inventory"
)

// A card's IPv6 addresses are given beside its IPv4 address, or beside DHCP; a card
// without any is left to the network.
func TestIPv6AddressesAreCustomized(t *testing.T) {
	cards := []types.BaseVirtualEthernetCard{&types.VirtualVmxnet3{}, &types.VirtualVmxnet3{}, &types.VirtualVmxnet3{}}
	id := inventory.Identity{HostName: "web01", NICs: []inventory.NICIdentity{
		{IP: "10.9.0.5", Mask: "255.255.255.0", IPv6: []string{"2001:db8:9::5/64", "fd09::5/48"}, GatewayV6: "2001:db8:9::1"},
		{IPv6: []string{"fd09::6/48"}},
		{},
	}}
	all := customization(id, cards).NicSettingMap
	first := all[0].Adapter.IpV6Spec
	if first == nil || len(first.Ip) != 2 || len(first.Gateway) != 1 || first.Gateway[0] != "2001:db8:9::1" {
		t.Fatalf("%+v", first)
	}
	if ip, ok := first.Ip[1].(*types.CustomizationFixedIpV6); !ok || ip.IpAddress != "fd09::5" || ip.SubnetMask != 48 {
		t.Errorf("%+v", first.Ip[1])
	}
	if _, dhcp := all[1].Adapter.Ip.(*types.CustomizationDhcpIpGenerator); !dhcp || all[1].Adapter.IpV6Spec == nil || all[1].Adapter.IpV6Spec.Gateway != nil {
		t.Errorf("%+v", all[1].Adapter)
	}
	if all[2].Adapter.IpV6Spec != nil {
		t.Errorf("%+v", all[2].Adapter)
	}
}
