package vmpolicy_test

import (
	"slices"
	"testing"

	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/core/vmpolicy"
)

func TestIdentify(t *testing.T) {
	v := web("web01")
	if id, _ := vmpolicy.Identify(v, nil); id != nil {
		t.Error("no rule, but", id)
	}
	subnet := inventory.ReIP{From: "10.0.0.0/23", To: "172.16.8.0/23"}
	id, used := vmpolicy.Identify(v, []inventory.ReIP{subnet})
	if id == nil || id.HostName != "web01" || id.Domain != "example.com" || len(used) != 1 {
		t.Fatalf("%+v", id)
	}
	if n := id.NICs[0]; n.IP != "172.16.8.5" || n.Mask != "255.255.254.0" || n.Gateway != "172.16.8.1" || !slices.Equal(n.DNS, []string{"10.0.0.2"}) {
		t.Errorf("%+v", n)
	}
	id, used = vmpolicy.Identify(v, []inventory.ReIP{subnet, {VM: "web01", IP: "10.9.0.7/24", Gateway: "10.9.0.254", DNS: []string{"9.9.9.9"}}})
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
	id, _ := vmpolicy.Identify(v, []inventory.ReIP{subnet})
	if id == nil || id.NICs[0].IP != "10.9.0.5" || id.NICs[1].IP != "" || id.NICs[2].IP != "" {
		t.Fatalf("%+v", id)
	}
	id, _ = vmpolicy.Identify(v, []inventory.ReIP{subnet, {VM: "web01", NIC: 1, IP: "10.9.0.9/24"}, {From: "192.168.7.0/24", To: "10.9.7.0/24"}})
	if id.NICs[1].IP != "10.9.0.9" || id.NICs[2].IP != "10.9.7.5" {
		t.Errorf("rules for them: %+v", id.NICs)
	}
}
