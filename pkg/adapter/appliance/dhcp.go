package appliance

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"
)

// leased is a network that a DHCP server gave, until it is due.
type leased struct {
	network
	lease *nclient4.Lease
	due   time.Time // to be renewed
	end   time.Time
}

// askDHCP gets a lease for a card, or renews one.
func askDHCP(ctx context.Context, card, host string, old *leased) (*leased, error) {
	c, err := nclient4.New(card)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	want := []dhcpv4.Modifier{dhcpv4.WithRequestedOptions(dhcpv4.OptionSubnetMask, dhcpv4.OptionRouter, dhcpv4.OptionDomainNameServer, dhcpv4.OptionNTPServers),
		dhcpv4.WithOption(dhcpv4.OptHostName(host))}
	at := time.Now()
	var l *nclient4.Lease
	if old != nil {
		l, err = c.Renew(ctx, old.lease, want...)
	} else {
		l, err = c.Request(ctx, want...)
	}
	if err != nil {
		return nil, err
	}
	n, err := networkOf(l.ACK)
	if err != nil {
		return nil, err
	}
	lasts := l.ACK.IPAddressLeaseTime(time.Hour)
	return &leased{network: n, lease: l, due: at.Add(l.ACK.IPAddressRenewalTime(lasts / 2)), end: at.Add(lasts)}, nil
}

// networkOf is what a DHCP server acknowledged.
func networkOf(ack *dhcpv4.DHCPv4) (network, error) {
	ip, ok := netip.AddrFromSlice(ack.YourIPAddr.To4())
	if !ok || ip.IsUnspecified() {
		return network{}, fmt.Errorf("the DHCP server gave no address")
	}
	bits := 32
	if m := ack.SubnetMask(); m != nil {
		bits, _ = m.Size()
	}
	n := network{address: netip.PrefixFrom(ip, bits)}
	if r := addresses(ack.Router()); len(r) > 0 {
		n.gateway = r[0]
	}
	n.dns = addresses(ack.DNS())
	for _, a := range addresses(ack.NTPServers()) {
		n.ntp = append(n.ntp, a.String())
	}
	return n, nil
}

func addresses(ips []net.IP) []netip.Addr {
	var out []netip.Addr
	for _, ip := range ips {
		if a, ok := netip.AddrFromSlice(ip.To4()); ok {
			out = append(out, a)
		}
	}
	return out
}
