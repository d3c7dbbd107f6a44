package guestnet

import (
	_ "embed"
	"fmt"
	"net/netip"
	"strings"

	"tidemark.dev/pkg/contract/inventory"
)

//go:embed linux.sh
var linux string

//go:embed windows.ps1
var windows string

// Script gives the cards their addresses; macs are the cards' own, in the order of
// id.NICs. It is a POSIX shell script for Linux, and PowerShell for Windows. It may run
// again at any time. It exits with 0 once the guest has its addresses, and else says why not.
func Script(id inventory.Identity, macs []string) string {
	var b strings.Builder
	call := func(args ...string) {
		for i, a := range args {
			if i > 0 {
				b.WriteByte(' ')
				a = quoted(a)
			}
			b.WriteString(a)
		}
		b.WriteByte('\n')
	}
	call("domain", id.Domain)
	for i, n := range id.NICs {
		if i >= len(macs) {
			break
		}
		v4, v6 := addresses(n), strings.Join(n.IPv6, ",")
		if v4 == "" && v6 == "" {
			call("keep", strings.ToLower(macs[i]))
			continue
		}
		dns4, dns6 := servers(n, id)
		call("nic", strings.ToLower(macs[i]), v4, n.Gateway, v6, n.GatewayV6, dns4, dns6)
	}
	if id.Windows {
		return windows + strings.ReplaceAll(b.String(), "\n", "\r\n")
	}
	return linux + b.String() + "finish\n"
}

// quoted is an argument in single quotes, which both shells take literally. No address
// and no domain has one in it.
func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", "") + "'" }

// addresses are a card's IPv4 addresses with their prefix lengths, the first one first.
func addresses(n inventory.NICIdentity) string {
	if n.IP == "" {
		return ""
	}
	bits := 0
	if m, err := netip.ParseAddr(n.Mask); err == nil && m.Is4() {
		for _, x := range m.As4() {
			for ; x != 0; x <<= 1 {
				bits++
			}
		}
	}
	return strings.Join(append([]string{fmt.Sprintf("%s/%d", n.IP, bits)}, n.More...), ",")
}

// servers are a card's name servers, or the guest's, of IPv4 and of IPv6.
func servers(n inventory.NICIdentity, id inventory.Identity) (v4, v6 string) {
	all := n.DNS
	if len(all) == 0 {
		all = id.DNS
	}
	var four, six []string
	for _, s := range all {
		switch a, err := netip.ParseAddr(s); {
		case err != nil:
		case a.Is4():
			four = append(four, s)
		default:
			six = append(six, s)
		}
	}
	return strings.Join(four, ","), strings.Join(six, ",")
}
