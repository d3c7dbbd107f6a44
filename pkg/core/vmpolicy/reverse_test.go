package vmpolicy_test

import (
	"strings"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/core/vmpolicy"
)

// gone is a VM that was failed over, as it is left at its vCenter, with disks of these
// sizes.
func gone(sizes ...int64) inventory.VM {
	v := inventory.VM{Place: inventory.Place{Name: "db", Path: "/dc/vm/prod/db"}, Host: "h1", Power: inventory.PoweredOff,
		Hardware: inventory.Hardware{Controllers: []inventory.Controller{{Key: 1000, Kind: "pvscsi"}}, NICs: []inventory.NIC{{Label: "eth0", NetName: "lan", Network: "n1"}, {Label: "eth1", NetName: "dmz", Network: "n2"}}}}
	for i, n := range sizes {
		v.Hardware.Disks = append(v.Hardware.Disks, inventory.Disk{Controller: 1000, Unit: int32(i), Size: n, File: "[ds] db/db.vmdk", UUID: "old"})
	}
	return v
}

// The job that leads back has the place of the old VM, and networks and addresses the
// other way round; what cannot be known is a warning.
func TestReverse(t *testing.T) {
	inv := inventory.Inventory{Datacenters: []inventory.Place{{Ref: "dc", Path: "/dc"}}, Hosts: []inventory.Host{{Place: inventory.Place{Ref: "h1", Path: "/dc/host/c/h1"}}},
		Datastores: []inventory.Datastore{{Place: inventory.Place{Name: "ds", Path: "/dc/datastore/ds"}}}, Folders: []inventory.Place{{Path: "/dc/vm/prod"}},
		Networks: []inventory.Network{{Place: inventory.Place{Ref: "n1", Path: "/dc/network/lan"}}, {Place: inventory.Place{Ref: "n2", Path: "/dc/network/dmz"}}}}
	was := inventory.Job{Source: inventory.JobSource{Capture: cdp.Tap, Filter: "f", Policy: "p"}, Checks: inventory.Checks{Ping: true, Script: "/check"},
		Target: inventory.JobTarget{GuestLogin: "linux", Networks: []inventory.NetworkMap{{From: "lan", To: "/x/network/dr", Test: "t"}, {From: "dmz", To: "/x/network/dr"}},
			ReIP: []inventory.ReIP{{From: "10.0.0.0/24", To: "10.9.0.0/24"}, {VM: "db", NIC: 1, IP: "10.9.1.5/24"}}}}
	j, warnings := vmpolicy.Reverse(was, "back", "uuid", gone(10), inv)
	to := j.Target
	if to.Host != "/dc/host/c/h1" || to.Datastore != "/dc/datastore/ds" || to.Folder != "/dc/vm/prod" || j.Source.VMs[0].UUID != "uuid" || j.Source.Filter != "f" || j.Source.Policy != "" || !j.Checks.Ping || j.Checks.Script != "" {
		t.Errorf("%+v", j)
	}
	if len(to.Networks) != 1 || to.Networks[0] != (inventory.NetworkMap{From: "dr", To: "/dc/network/lan"}) || len(to.ReIP) != 1 || to.ReIP[0].From != "10.9.0.0/24" || to.ReIP[0].To != "10.0.0.0/24" {
		t.Errorf("%+v", to)
	}
	for i, want := range []string{"eth1 was on dmz", "network card 1 of db", "check script /check", "guest login linux", "storage policy"} {
		if !strings.Contains(warnings[i], want) {
			t.Errorf("%q lacks %q", warnings[i], want)
		}
	}
}

// An old VM becomes a replica only if it is off, nobody could go back to another state of
// it, and each disk that runs now has one of its disks at the same address.
func TestWhatKeepsAnOldVMFromBecomingAReplica(t *testing.T) {
	now := gone(10, 20)
	if bad := vmpolicy.CheckOld(gone(10, 20), now); len(bad) > 0 {
		t.Error(bad)
	}
	for want, change := range map[string]func(*inventory.VM){
		"is on":             func(v *inventory.VM) { v.Power = inventory.PoweredOn },
		"a template":        func(v *inventory.VM) { v.Template = true },
		"a replica":         func(v *inventory.VM) { v.Hardware.Extra = map[string]string{inventory.MarkGroup: "g"} },
		`has snapshots ("`:  func(v *inventory.VM) { v.Snapshots = []inventory.Snapshot{{Name: "before"}} },
		"consolidation":     func(v *inventory.VM) { v.Consolidate = true },
		"no disk at scsi0:": func(v *inventory.VM) { v.Hardware.Disks = v.Hardware.Disks[:1] },
		"has 30 bytes":      func(v *inventory.VM) { v.Hardware.Disks[1].Size = 30 },
		"a raw device":      func(v *inventory.VM) { v.Hardware.Disks[0].RDM = "virtual" },
	} {
		old := gone(10, 20)
		change(&old)
		if bad := vmpolicy.CheckOld(old, now); len(bad) != 1 || !strings.Contains(bad[0].Text, want) {
			t.Errorf("%s: %+v", want, bad)
		}
	}
	disks, why := vmpolicy.OldDisks(gone(10, 15), now)
	if why != "" || disks[1].Disk.Size != 15 || disks[1].Extend != 20 || disks[0].Extend != 0 || disks[1].Name != "scsi0-1" || disks[1].UUID != "old" {
		t.Errorf("%+v, %s", disks, why)
	}
}
