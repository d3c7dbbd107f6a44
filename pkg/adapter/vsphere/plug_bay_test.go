package vsphere

import (
	"fmt"
	"testing"

	"github.com/vmware/govmomi/vim25/types"

	"tidemark.dev/pkg/contract/inventory"
)

func TestPlacesForDisks(t *testing.T) {
	unit := int32(0)
	devices := []types.BaseVirtualDevice{
		newController(inventory.Controller{Kind: "lsilogic", Bus: 0, Key: 1000}),
		newController(inventory.Controller{Kind: "pvscsi", Bus: 1, Key: 1001}),
		&types.VirtualDisk{VirtualDevice: types.VirtualDevice{Key: 2000, ControllerKey: 1001, UnitNumber: &unit}},
	}
	for _, tc := range []struct {
		version string
		fit     int // on pvscsi controllers: bus 1, and 2 and 3 that are added
	}{{"vmx-13", 3*15 - 1}, {"vmx-19", 3*63 - 1}} {
		b := newBay(devices, tc.version)
		seen := map[place]bool{}
		n := 0
		for ; ; n++ {
			p, err := b.any()
			if err != nil {
				break
			}
			if seen[p] || p.unit == 7 || p == (place{1001, 0}) || p.controller == 1000 {
				t.Fatalf("%s: place %v is not free, or not on a pvscsi controller", tc.version, p)
			}
			seen[p] = true
		}
		if n != tc.fit || len(b.added) != 2 {
			t.Errorf("%s: %d disks fit with %d new controllers, want %d with 2", tc.version, n, len(b.added), tc.fit)
		}
	}
}

func TestPlaceAtAnAddress(t *testing.T) {
	unit := int32(3)
	devices := []types.BaseVirtualDevice{
		newController(inventory.Controller{Kind: "pvscsi", Bus: 0, Key: 1000}),
		newController(inventory.Controller{Kind: "nvme", Bus: 0, Key: 31000}),
		newController(inventory.Controller{Kind: "ahci", Bus: 1, Key: 15001}),
		&types.VirtualDisk{VirtualDevice: types.VirtualDevice{Key: 2003, ControllerKey: 1000, UnitNumber: &unit}},
	}
	for address, want := range map[string]string{
		"scsi0:1":  "{1000 1}",
		"scsi0:63": "{1000 63}",
		"nvme0:0":  "{31000 0}",
		"sata1:29": "{15001 29}",
		"scsi0:3":  "taken",
		"scsi0:7":  "no slot",
		"scsi0:64": "no slot",
		"scsi1:0":  "no controller",
		"nvme0:15": "no slot",
		"scsi0":    "no address",
		"usb0:1":   "no address",
		"scsi-1:0": "no address",
	} {
		p, err := newBay(devices, "vmx-19").at(address)
		got := fmt.Sprint(p)
		if err != nil {
			got = err.Error()
		}
		if !contains(got, want) {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
}

// A disk without an address never takes a slot that another disk asks for.
func TestAddressesComeFirst(t *testing.T) {
	devices := []types.BaseVirtualDevice{newController(inventory.Controller{Kind: "pvscsi", Bus: 0, Key: 1000})}
	changes, err := plugging(devices, "vmx-19", []inventory.Plug{
		{File: "[ds] a/a.vmdk"}, {File: "[ds] b/b.vmdk", Address: "scsi0:0"}, {File: "[ds] c/c.vmdk", Frozen: true}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range changes {
		s := c.GetVirtualDeviceConfigSpec()
		d := s.Device.(*types.VirtualDisk)
		b := d.Backing.(*types.VirtualDiskFlatVer2BackingInfo)
		if d.CapacityInBytes != 0 || d.CapacityInKB != 0 || s.FileOperation != "" {
			t.Errorf("%s would be made anew: %+v", b.FileName, s)
		}
		got = append(got, fmt.Sprintf("%s %d %s", b.FileName, *d.UnitNumber, b.DiskMode))
	}
	want := "[[ds] a/a.vmdk 1 persistent [ds] b/b.vmdk 0 persistent [ds] c/c.vmdk 2 independent_nonpersistent]"
	if fmt.Sprint(got) != want {
		t.Errorf("got %v\nwant %s", got, want)
	}
}

func TestDiskUnderASnapshotIsNotAttached(t *testing.T) {
	base := &types.VirtualDiskFlatVer2BackingInfo{DiskMode: "persistent"}
	base.FileName = "[ds] a/a.vmdk"
	top := &types.VirtualDiskFlatVer2BackingInfo{DiskMode: "persistent", Parent: base}
	top.FileName = "[ds] a/a-000001.vmdk"
	disk := &types.VirtualDisk{VirtualDevice: types.VirtualDevice{Key: 2000, Backing: top}}
	devices := []types.BaseVirtualDevice{disk}
	if _, _, err := attached(devices, base.FileName); err == nil {
		t.Error("a disk that a snapshot lies over passes for attached")
	}
	// A frozen one is another disk's: its parents may be attached beside it.
	top.DiskMode = frozenMode
	if d, _, err := attached(devices, base.FileName); err != nil || d != nil {
		t.Errorf("got %v, %v", d, err)
	}
	if d, _, err := attached(devices, top.FileName); err != nil || d != disk {
		t.Errorf("got %v, %v", d, err)
	}
}
