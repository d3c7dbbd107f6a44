package vsphere

import (
	"net/netip"
	"slices"
	"strconv"

	"github.com/vmware/govmomi/vim25/types"

	"tidemark.dev/pkg/contract/inventory"
)

// guestOf is what VMware Tools report, if they ever ran.
func guestOf(g *types.GuestInfo, heartbeat string) inventory.Guest {
	out := inventory.Guest{Heartbeat: heartbeat}
	if g == nil {
		return out
	}
	out.ToolsRunning = g.ToolsRunningStatus == string(types.VirtualMachineToolsRunningStatusGuestToolsRunning)
	out.HostName, out.Family = g.HostName, g.GuestFamily
	for i, n := range g.Net {
		nic := inventory.GuestNIC{Key: n.DeviceConfigId, Network: n.Network, MAC: n.MacAddress, IPs: addresses(n), DHCP: usesDHCP(n)}
		if n.DnsConfig != nil {
			nic.DNS = n.DnsConfig.IpAddress
		}
		for _, s := range g.IpStack {
			if len(nic.DNS) == 0 && s.DnsConfig != nil {
				nic.DNS = s.DnsConfig.IpAddress
			}
			if gw := gatewayOf(s, i); gw != "" && nic.Gateway == "" {
				nic.Gateway = gw
			}
		}
		out.NICs = append(out.NICs, nic)
	}
	return out
}

// usesDHCP reports whether a NIC's IPv4 address is a lease.
func usesDHCP(n types.GuestNicInfo) bool {
	if n.IpConfig == nil {
		return false
	}
	if d := n.IpConfig.Dhcp; d != nil && d.Ipv4 != nil && d.Ipv4.Enable {
		return true
	}
	return slices.ContainsFunc(n.IpConfig.IpAddress, func(a types.NetIpConfigInfoIpAddress) bool {
		ip, err := netip.ParseAddr(a.IpAddress)
		return err == nil && ip.Is4() && a.Origin == string(types.NetIpConfigInfoIpAddressOriginDhcp)
	})
}

// addresses are in CIDR notation, without link-local ones. Old tools report no
// prefix: then it is the full length.
func addresses(n types.GuestNicInfo) []string {
	var out []string
	add := func(ip string, bits int) {
		a, err := netip.ParseAddr(ip)
		if err != nil || a.IsLinkLocalUnicast() {
			return
		}
		if bits <= 0 || bits > a.BitLen() {
			bits = a.BitLen()
		}
		out = append(out, netip.PrefixFrom(a, bits).String())
	}
	if n.IpConfig != nil {
		for _, a := range n.IpConfig.IpAddress {
			add(a.IpAddress, int(a.PrefixLength))
		}
	}
	if len(out) == 0 {
		for _, a := range n.IpAddress {
			add(a, 0)
		}
	}
	return out
}

// gatewayOf is the default gateway through the guest's i-th NIC, preferably IPv4.
func gatewayOf(s types.GuestStackInfo, i int) string {
	if s.IpRouteConfig == nil {
		return ""
	}
	found := ""
	for _, r := range s.IpRouteConfig.IpRoute {
		if r.PrefixLength != 0 || r.Gateway.IpAddress == "" {
			continue
		}
		if r.Gateway.Device != "" && r.Gateway.Device != strconv.Itoa(i) {
			continue
		}
		if a, err := netip.ParseAddr(r.Gateway.IpAddress); err == nil && a.Is4() {
			return r.Gateway.IpAddress
		}
		found = r.Gateway.IpAddress
	}
	return found
}
