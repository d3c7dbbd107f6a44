package vcsim

import (
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

func (s *Site) hasNetwork(name string) bool {
	for _, e := range s.registry().All("Network") {
		if n, ok := e.(*mo.Network); ok && n.Name == name {
			return true
		}
	}
	return false
}

// networkOf is the name of the network a card is on.
func (s *Site) networkOf(ctx *simulator.Context, card *types.VirtualEthernetCard) string {
	switch b := card.Backing.(type) {
	case *types.VirtualEthernetCardNetworkBackingInfo:
		return b.DeviceName
	case *types.VirtualEthernetCardDistributedVirtualPortBackingInfo:
		ref := types.ManagedObjectReference{Type: "DistributedVirtualPortgroup", Value: b.Port.PortgroupKey}
		if pg, ok := ctx.Map.Get(ref).(*simulator.DistributedVirtualPortgroup); ok {
			return pg.Name
		}
	}
	return ""
}

func (s *Site) networkBacking(name string) types.BaseVirtualDeviceBackingInfo {
	for _, e := range s.registry().All("DistributedVirtualPortgroup") {
		if pg, ok := e.(*simulator.DistributedVirtualPortgroup); ok && pg.Name == name {
			dvs, _ := s.registry().Get(*pg.Config.DistributedVirtualSwitch).(*simulator.DistributedVirtualSwitch)
			return &types.VirtualEthernetCardDistributedVirtualPortBackingInfo{
				Port: types.DistributedVirtualSwitchPortConnection{PortgroupKey: pg.Key, SwitchUuid: dvs.Uuid},
			}
		}
	}
	return &types.VirtualEthernetCardNetworkBackingInfo{VirtualDeviceDeviceBackingInfo: types.VirtualDeviceDeviceBackingInfo{DeviceName: name}}
}
