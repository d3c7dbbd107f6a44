package vmpolicy_test

import (
	"testing"

	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/core/vmpolicy"
)

// transporter is one with so many disks on two controllers; the two VMs of the job have
// two disks each.
func transporter(version string, disks int) inventory.VM {
	t := inventory.VM{UUID: "t", Place: place("VirtualMachine", "/B/vm/transporter")}
	t.Hardware.Version = version
	t.Hardware.Controllers = []inventory.Controller{{Key: 1000, Kind: "lsilogic"}, {Key: 1001, Kind: "pvscsi", Bus: 1}}
	for i := range disks {
		t.Hardware.Disks = append(t.Hardware.Disks, inventory.Disk{Controller: 1001, Unit: int32(i)})
	}
	return t
}

// A pass needs all the frozen disks of a VM at once, at the source's transporter.
func TestTheSourcesTransporterNeedsSlotsForAPass(t *testing.T) {
	for _, x := range []struct {
		free    int
		own     bool // the transporter is also the target's
		rules   int
		warning bool
	}{{4, false, 0, false}, {3, false, 1, true}, {2, false, 1, true}, {1, false, 2, false}, {6, true, 1, true}, {8, true, 0, false}} {
		s := situation()
		s.SourceSlots = &inventory.Slots{UUID: "s", Name: "tm-prod", Free: x.free}
		if x.own {
			s.Transporter = transporter("vmx-14", 5)
			s.SourceSlots.UUID = s.Transporter.UUID
		}
		got := vmpolicy.Check(s)
		if len(got) != x.rules || x.rules > 0 && (got[0].Rule != "source-slots" || got[0].Warning != x.warning) {
			t.Errorf("%+v: %+v", x, got)
		}
	}
	v := transporter("vmx-14", 5)
	v.Hardware.Disks[0].Mode = "independent_nonpersistent"
	if all, without := vmpolicy.FreeSlots(v), vmpolicy.FreeSlots(vmpolicy.WithoutFrozen(v)); without != all+1 || v.Hardware.Disks[0].Mode == "" {
		t.Error(all, without)
	}
}

// A VM that joins when all slots are taken would have no replica, and a test would be
// refused on the day it is needed.
func TestATransporterNeedsSlotsForTheDisks(t *testing.T) {
	for _, x := range []struct {
		name    string
		version string
		disks   int
		made    bool
		rule    string // "": no problem
		warning bool
	}{
		{"room for everything", "vmx-13", 39, false, "", false},
		{"none for a test", "vmx-13", 40, false, "slots", true},
		{"none for all replicas", "vmx-13", 42, false, "slots", false},
		{"the replicas have theirs", "vmx-13", 43, true, "", false},
		{"newer hardware has more", "vmx-14", 43, false, "", false},
	} {
		s := situation()
		s.Transporter = transporter(x.version, x.disks)
		if x.made {
			s.Made = map[string]bool{"uuid-web01": true, "uuid-web02": true}
		}
		got := vmpolicy.Check(s)
		if x.rule == "" && len(got) > 0 || x.rule != "" && (len(got) != 1 || got[0].Rule != x.rule || got[0].Warning != x.warning) {
			t.Errorf("%s: %+v", x.name, got)
		}
	}
}
