package vmpolicy_test

import (
	"slices"
	"strings"
	"testing"

	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/core/vmpolicy"
)

func TestIdentify(t *testing.T) {
	v := web("web01")
	if id, _ := vmpolicy.Identify(v, nil, ""); id != nil {
		t.Error("no rule, but", id)
	}
	subnet := inventory.ReIP{From: "10.0.0.0/23", To: "172.16.8.0/23"}
	id, used := vmpolicy.Identify(v, []inventory.ReIP{subnet}, "")
	if id == nil || id.HostName != "web01" || id.Domain != "example.com" || len(used) != 1 {
		t.Fatalf("%+v", id)
	}
	if n := id.NICs[0]; n.IP != "172.16.8.5" || n.Mask != "255.255.254.0" || n.Gateway != "172.16.8.1" || !slices.Equal(n.DNS, []string{"10.0.0.2"}) {
		t.Errorf("%+v", n)
	}
	id, used = vmpolicy.Identify(v, []inventory.ReIP{subnet, {VM: "web01", IP: "10.9.0.7/24", Gateway: "10.9.0.254", DNS: []string{"9.9.9.9"}}}, "")
	if n := id.NICs[0]; n.IP != "10.9.0.7" || n.Mask != "255.255.255.0" || n.Gateway != "10.9.0.254" || n.DNS[0] != "9.9.9.9" || used[0] != 1 {
		t.Errorf("%+v %v", n, used)
	}
}

// A lease of the source's network is nobody's at the target, and an address that old
// VMware Tools report without its subnet cannot be given again.
func TestCardsWithoutARuleThatMayNotKeepTheirAddress(t *testing.T) {
	v := web("web01")
	v.Hardware.NICs = append(v.Hardware.NICs, inventory.NIC{Key: 4001}, inventory.NIC{Key: 4002})
	v.Guest.NICs = append(v.Guest.NICs,
		inventory.GuestNIC{Key: 4001, IPs: []string{"10.0.0.33/24"}, DHCP: true},
		inventory.GuestNIC{Key: 4002, IPs: []string{"192.168.7.5/32"}})
	subnet := inventory.ReIP{From: "10.0.0.0/24", To: "10.9.0.0/24"}
	id, _ := vmpolicy.Identify(v, []inventory.ReIP{subnet}, "")
	if id == nil || id.NICs[0].IP != "10.9.0.5" || id.NICs[1].IP != "" || id.NICs[2].IP != "" {
		t.Fatalf("%+v", id)
	}
	id, _ = vmpolicy.Identify(v, []inventory.ReIP{subnet, {VM: "web01", NIC: 1, IP: "10.9.0.9/24"}, {From: "192.168.7.0/24", To: "10.9.7.0/24"}}, "")
	if id.NICs[1].IP != "10.9.0.9" || id.NICs[2].IP != "10.9.7.5" {
		t.Errorf("rules for them: %+v", id.NICs)
	}
}

// Rules for subnets of IPv6 move a card's addresses of those, whatever its IPv4 address
// does. An address without a rule may have been announced by the source's routers.
func TestIPv6AddressesAreMovedByRules(t *testing.T) {
	v6 := inventory.ReIP{From: "2001:db8:1::/48", To: "2001:db8:9::/48", Gateway: "2001:db8:9::1", DNS: []string{"2001:db8:9::53"}}
	for name, c := range map[string]struct {
		ips   []string
		dhcp  bool
		rules []inventory.ReIP
		want  []string
		ip    string
	}{
		"one of each":         {[]string{"10.0.0.5/24", "fe80::1/64", "2001:db8:1:7::5/64"}, false, []inventory.ReIP{{From: "10.0.0.0/24", To: "10.9.0.0/24"}, v6}, []string{"2001:db8:9:7::5/64"}, "10.9.0.5"},
		"a lease beside it":   {[]string{"10.0.0.5/24", "2001:db8:1::5/64"}, true, []inventory.ReIP{v6}, []string{"2001:db8:9::5/64"}, ""},
		"no prefix reported":  {[]string{"10.0.0.5/24", "2001:db8:1::5/128"}, false, []inventory.ReIP{v6}, []string{"2001:db8:9::5/48"}, "10.0.0.5"},
		"one without a rule":  {[]string{"10.0.0.5/24", "2001:db8:1::5/64", "2001:db8:2::5/64"}, false, []inventory.ReIP{v6}, []string{"2001:db8:9::5/64"}, "10.0.0.5"},
		"rules of both kinds": {[]string{"2001:db8:1::5/64"}, false, []inventory.ReIP{{From: "0.0.0.0/1", To: "128.0.0.0/1"}, v6}, []string{"2001:db8:9::5/64"}, ""},
	} {
		v := web("web01")
		v.Guest.NICs[0].IPs, v.Guest.NICs[0].DHCP = c.ips, c.dhcp
		id, used := vmpolicy.Identify(v, c.rules, "")
		if id == nil || len(used) == 0 {
			t.Errorf("%s: no rule applies", name)
			continue
		}
		if n := id.NICs[0]; !slices.Equal(n.IPv6, c.want) || n.IP != c.ip || n.GatewayV6 != "2001:db8:9::1" || !slices.Contains(n.DNS, "2001:db8:9::53") || !slices.Contains(id.DNS, "2001:db8:9::53") {
			t.Errorf("%s: %+v", name, n)
		}
	}
	id, _ := vmpolicy.Identify(web("web01"), []inventory.ReIP{{VM: "web01", IP: "10.9.0.7/24"}}, "")
	if n := id.NICs[0]; n.IP != "10.9.0.7" || n.Gateway != "" {
		t.Errorf("a gateway that its subnet does not have: %+v", n)
	}
}

// A vCenter gives a card one IPv4 address. Inside the guest all are given, moved or as
// they were.
func TestFurtherAddressesAreGivenInsideTheGuest(t *testing.T) {
	v := web("web01")
	v.Guest.NICs[0].IPs = []string{"10.0.0.5/24", "10.0.0.6/24", "192.168.1.6/25", "10.0.0.7/32", "172.16.0.1/32"}
	rules := []inventory.ReIP{{From: "192.168.1.0/24", To: "192.168.9.0/24"}, {From: "10.0.0.0/24", To: "10.9.0.0/24"}}
	id, used := vmpolicy.Identify(v, rules, "linux")
	if id == nil || id.Login != "linux" || !slices.Equal(id.NICs[0].More, []string{"10.9.0.6/24", "192.168.9.6/24", "10.9.0.7/24"}) || !slices.Contains(used, 0) {
		t.Fatalf("%+v, rules %v", id, used)
	}
	id, used = vmpolicy.Identify(v, rules[:1], "linux")
	if id == nil || id.NICs[0].IP != "10.0.0.5" || !slices.Equal(id.NICs[0].More, []string{"10.0.0.6/24", "192.168.9.6/24"}) {
		t.Errorf("a rule for a further address alone: %+v, rules %v", id, used)
	}
	if id, _ = vmpolicy.Identify(v, rules[:1], ""); id != nil {
		t.Errorf("what the vCenter cannot do: %+v", id)
	}
	v.Guest.NICs[0].DHCP = true
	if id, _ = vmpolicy.Identify(v, rules, "linux"); id != nil {
		t.Errorf("a card with DHCP: %+v", id)
	}
}

// A login of its own is a VM's, whatever the others have, also after it was renamed.
func TestAVMMayHaveALoginOfItsOwn(t *testing.T) {
	to := inventory.JobTarget{GuestLogin: "linux", GuestLogins: []inventory.VMLogin{{VM: "win01", Login: "windows"}}}
	for names, want := range map[[2]string]string{{"web01", "web01"}: "linux", {"win01", "win01"}: "windows", {"renamed", "win01"}: "windows"} {
		if got := to.LoginOf(names[0], names[1]); got != want {
			t.Errorf("the login of %v is %q, not %q", names, got, want)
		}
	}
	to.GuestLogin = ""
	if got := to.LoginOf("web01"); got != "" {
		t.Errorf("web01 has the login %q of another VM", got)
	}
	s := situation()
	s.Job.Target.GuestLogins = to.GuestLogins
	for _, p := range vmpolicy.Check(s) {
		if p.Path == "/spec/target/guestLogins/0/vm" && strings.Contains(p.Text, `no VM "win01"`) {
			return
		}
	}
	t.Errorf("a login of a VM that the job does not have is taken: %+v", vmpolicy.Check(s))
}
