package vmpolicy_test

import (
	"strings"
	"testing"

	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/core/vmpolicy"
)

// What would stop a failover, or leave work to do in it, is said when the job is
// applied.
func TestWhatAFailoverCannotDoIsToldBefore(t *testing.T) {
	move := []inventory.ReIP{{From: "10.0.0.0/24", To: "10.9.0.0/24"}}
	for _, c := range []struct {
		name    string
		change  func(v *inventory.VM)
		rules   []inventory.ReIP
		says    []string
		refused bool
		login   string
	}{
		{"nothing", func(*inventory.VM) {}, move, nil, false, ""},
		{"a name of 75 characters", func(v *inventory.VM) { v.Name = strings.Repeat("n", 75) }, nil, []string{"has 83 characters"}, true, ""},
		{"an escaped character", func(v *inventory.VM) { v.Name = strings.Repeat("n", 70) + "%" }, nil, []string{"has 81 characters"}, true, ""},
		{"an unknown card", func(v *inventory.VM) { v.Hardware.NICs[0].Kind = "unknown" }, nil, []string{"cannot be made"}, true, ""},
		{"more addresses", func(v *inventory.VM) {
			v.Guest.NICs[0].IPs = append(v.Guest.NICs[0].IPs, "10.0.0.6/24", "2001:db8::5/64")
		}, move, []string{"10.0.0.6/24, 2001:db8::5/64"}, false, ""},
		{"IPv6 that a rule moves", func(v *inventory.VM) {
			v.Guest.NICs[0].IPs = append(v.Guest.NICs[0].IPs, "2001:db8::5/64")
		}, append(move[:1:1], inventory.ReIP{From: "2001:db8::/64", To: "2001:db8:9::/64"}), nil, false, ""},
		{"a subnet that is not reported", func(v *inventory.VM) {
			v.Hardware.NICs = append(v.Hardware.NICs, inventory.NIC{Key: 4001, Label: "Network adapter 2", NetName: "VM Network"})
			v.Guest.NICs = append(v.Guest.NICs, inventory.GuestNIC{Key: 4001, IPs: []string{"192.168.7.5/32"}})
		}, move, []string{"192.168.7.5, whose subnet VMware Tools do not report"}, false, ""},
		{"Windows", func(v *inventory.VM) { v.Guest.Family = "windowsGuest" }, move, []string{"domain membership, SID"}, false, ""},
		{"Windows without re-IP", func(v *inventory.VM) { v.Guest.Family = "windowsGuest" }, nil, nil, false, ""},
		{"a long Windows name", func(v *inventory.VM) {
			v.Guest.Family, v.Guest.HostName = "windowsGuest", "averylongwindowsname01.corp.example.com"
		}, move, []string{"SID", "at most 15"}, false, ""},
		{"a Windows name of digits", func(v *inventory.VM) { v.Guest.Family, v.Guest.HostName = "windowsGuest", "12345" }, move, []string{"SID", "not digits"}, false, ""},
		{"Windows with a guest login", func(v *inventory.VM) {
			v.Guest.Family, v.Guest.HostName, v.Guest.ToolsRunning = "windowsGuest", "12345", true
			v.Guest.NICs[0].IPs = append(v.Guest.NICs[0].IPs, "10.0.0.6/24", "192.168.1.6/24")
		}, move, nil, false, "windows"},
		{"a guest login without VMware Tools", func(*inventory.VM) {}, move, []string{"VMware Tools do not run"}, false, "linux"},
		{"a further address without its subnet", func(v *inventory.VM) {
			v.Guest.ToolsRunning = true
			v.Guest.NICs[0].IPs = append(v.Guest.NICs[0].IPs, "192.168.1.6/32")
		}, move, []string{"192.168.1.6/32"}, false, "linux"},
	} {
		s := situation()
		s.Members = s.Members[:1]
		s.Job.Target.ReIP, s.Job.Target.GuestLogin = c.rules, c.login
		c.change(&s.Members[0])
		got := vmpolicy.Check(s)
		if len(got) != len(c.says) {
			t.Errorf("%s: %+v", c.name, got)
			continue
		}
		for i, p := range got {
			if !strings.Contains(p.Text, c.says[i]) || p.Warning == c.refused || p.UUID != "uuid-web01" {
				t.Errorf("%s: %+v", c.name, p)
			}
		}
	}
}

func TestTestNamesFit(t *testing.T) {
	if got := vmpolicy.TestName("web01-replica", "01JRUN0000TEST42"); got != "web01-replica-test-00test42" {
		t.Error(got)
	}
	for _, replica := range []string{strings.Repeat("n", 79), strings.Repeat("%", 40), strings.Repeat("ü", 39)} {
		got := vmpolicy.TestName(replica, "01JRUN0000TEST42")
		if n := len(got) + 2*strings.Count(got, "%"); n > 80 || n < 70 || !strings.HasSuffix(got, "-test-00test42") {
			t.Errorf("%d: %s", n, got)
		}
	}
}
