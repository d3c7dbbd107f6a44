package vmpolicy

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"tidemark.dev/pkg/contract/inventory"
)

// maxVMName is the longest name of a VM, in bytes as a vCenter stores it.
const maxVMName = 80

// testMark is between the name of a replica and the end of a test's run, which has at
// most testTail characters.
const (
	testMark = "-test-"
	testTail = 8
)

// TestName is the name of a test failover's VM: the replica's, shortened if need be,
// and the end of the run's id, which is its random part.
func TestName(replica, run string) string {
	tail := testMark + strings.ToLower(run[max(0, len(run)-testTail):])
	r := []rune(replica)
	for storedLength(string(r))+len(tail) > maxVMName {
		r = r[:len(r)-1]
	}
	return string(r) + tail
}

// storedLength is a name's length in a vCenter, which escapes three characters.
func storedLength(name string) int {
	n := len(name)
	for _, c := range "%/\\" {
		n += strings.Count(name, string(c)) * (len(url.PathEscape(string(c))) - 1)
	}
	return n
}

// checkFailover finds what would stop a failover of the VM, or leave work to do in it,
// when there is no time for either.
func checkFailover(j inventory.Job, v inventory.VM) []inventory.Problem {
	var problems []inventory.Problem
	add := func(path, rule string, warning bool, format string, args ...any) {
		problems = append(problems, inventory.Problem{VM: v.Name, Path: path, Rule: rule, Warning: warning, Text: fmt.Sprintf(format, args...)})
	}
	if name := j.Target.ReplicaName(v.Name); storedLength(name) > maxVMName {
		add("/spec/target/suffix", "name", false, "its replica would be called %s, which has %d characters, and a vCenter takes %d: rename the VM, or choose a shorter target.suffix", name, storedLength(name), maxVMName)
	}
	for _, n := range v.Hardware.NICs {
		if n.Kind == "sriov" || n.Kind == "unknown" {
			add("/spec/source/vms", "nic", false, "%s is a network card of the kind %q, which cannot be made for its replica: replace it, by a vmxnet3 card for instance", n.Label, n.Kind)
		}
	}
	id, _ := Identify(v, j.Target.ReIP, j.Target.LoginOf(v.Name))
	if id == nil {
		return problems
	}
	for i, n := range v.Hardware.NICs {
		given := id.NICs[i]
		if lost := lostAddresses(v.Guest, n, j.Target.ReIP, id.Login); (given.IP != "" || len(given.IPv6) > 0) && len(lost) > 0 {
			add("/spec/target/reIP", "addresses", true, "%s also has %s, which it will not have at the target: %s", n.Label, strings.Join(lost, ", "), given4(id.Login))
		}
		if had := guestAddress(v.Guest, n); given.IP == "" && had.Mask == "255.255.255.255" && !leased(v.Guest, n) {
			add("/spec/target/reIP", "addresses", true, "%s has the address %s, whose subnet VMware Tools do not report: without a rule for it, it will use DHCP at the target", n.Label, had.IP)
		}
	}
	if id.Login != "" {
		if v.Power == inventory.PoweredOn && !v.Guest.ToolsRunning {
			add("/spec/target/guestLogin", "tools", true, "VMware Tools do not run in its guest: without them its addresses cannot be set from inside at the target, and a failover starts it with its old ones")
		}
		return problems
	}
	if !id.Windows {
		return problems
	}
	add("/spec/target/reIP", "sysprep", true, "the vCenter changes the addresses of a Windows guest by sysprep: it loses its domain membership, SID and time zone; with target.guestLogin only its addresses are changed, from inside")
	if name := id.HostName; len(name) > 15 || strings.Trim(name, "0123456789") == "" {
		add("/spec/target/reIP", "sysprep", true, "its host name %q is refused by sysprep, which takes at most 15 characters, not digits alone: a failover would start it with its old addresses", name)
	}
	return problems
}

// given4 says which addresses of a card are configured.
func given4(login string) string {
	if login == "" {
		return "one IPv4 address of a card is configured (all with target.guestLogin), and IPv6 addresses for whose subnets there is a rule"
	}
	return "IPv6 addresses are configured if there is a rule for their subnets"
}

// lostAddresses are those of a NIC that no configuration gives again: all but its first
// IPv4 address, more of them that a script inside the guest gives, the IPv6 addresses that
// rules move, and link-local ones.
func lostAddresses(g inventory.Guest, n inventory.NIC, rules []inventory.ReIP, login string) (out []string) {
	first := guestAddress(g, n).IP
	for _, x := range g.NICs {
		if !x.Is(n) {
			continue
		}
		for _, s := range x.IPs {
			p, err := netip.ParsePrefix(s)
			if err != nil || p.Addr().String() == first || p.Addr().IsLinkLocalUnicast() {
				continue
			}
			var given inventory.NICIdentity
			switch {
			case p.Addr().Is6():
				moveV6(&given, []netip.Prefix{p}, rules)
			case login != "":
				moveMore(&given, []netip.Prefix{p}, rules)
			}
			if len(given.IPv6)+len(given.More) > 0 {
				continue
			}
			out = append(out, s)
		}
	}
	return out
}
