package vsphere

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/vmware/govmomi/vim25/types"

	"tidemark.dev/pkg/contract/inventory"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// class is what a controller's disks are addressed with.
func class(kind string) string {
	switch kind {
	case "nvme", "ide":
		return kind
	case "ahci":
		return "sata"
	}
	return "scsi"
}

// controllersOf are the disk controllers among devices.
func controllersOf(devices []types.BaseVirtualDevice) []inventory.Controller {
	var out []inventory.Controller
	for _, d := range devices {
		if c, ok := controllerOf(d); ok {
			out = append(out, c)
		}
	}
	return out
}

// newController is the device that adds a controller; nil for IDE, which every VM
// has. Its key is temporary, below zero.
func newController(c inventory.Controller) types.BaseVirtualDevice {
	base := types.VirtualController{VirtualDevice: types.VirtualDevice{Key: c.Key}, BusNumber: c.Bus}
	scsi := types.VirtualSCSIController{
		VirtualController:  base,
		SharedBus:          types.VirtualSCSISharingNoSharing,
		HotAddRemove:       types.NewBool(true),
		ScsiCtlrUnitNumber: 7,
	}
	switch c.Sharing {
	case "virtual":
		scsi.SharedBus = types.VirtualSCSISharingVirtualSharing
	case "physical":
		scsi.SharedBus = types.VirtualSCSISharingPhysicalSharing
	}
	switch c.Kind {
	case "ide":
		return nil
	case "nvme":
		return &types.VirtualNVMEController{VirtualController: base}
	case "ahci":
		return &types.VirtualAHCIController{VirtualSATAController: types.VirtualSATAController{VirtualController: base}}
	case "lsilogic":
		return &types.VirtualLsiLogicController{VirtualSCSIController: scsi}
	case "lsilogic-sas":
		return &types.VirtualLsiLogicSASController{VirtualSCSIController: scsi}
	case "buslogic":
		return &types.VirtualBusLogicController{VirtualSCSIController: scsi}
	}
	return &types.ParaVirtualSCSIController{VirtualSCSIController: scsi}
}

// unitsOf is how many slots a controller has in a VM of hardware version vmx.
func unitsOf(kind string, vmx int) int32 {
	switch kind {
	case "ide":
		return 2
	case "ahci":
		return 30
	case "nvme":
		if vmx >= 21 {
			return 64
		}
		return 15
	case "pvscsi":
		if vmx >= 14 {
			return 64
		}
	}
	return 16
}

// vmxNumber is 19 of vmx-19; 0 if it does not have that form.
func vmxNumber(version string) int {
	n, _ := strconv.Atoi(strings.TrimPrefix(version, "vmx-"))
	return n
}

// link is one file of a virtual disk: the newest, or one below.
type link struct{ file, uuid, mode string }

// linksOf are a disk's files, newest first; none if it is not backed by files.
func linksOf(d *types.VirtualDisk) []link {
	var out []link
	switch b := d.Backing.(type) {
	case *types.VirtualDiskFlatVer2BackingInfo:
		for ; b != nil; b = b.Parent {
			out = append(out, link{b.FileName, b.Uuid, b.DiskMode})
		}
	case *types.VirtualDiskSeSparseBackingInfo:
		for ; b != nil; b = b.Parent {
			out = append(out, link{b.FileName, b.Uuid, b.DiskMode})
		}
	case *types.VirtualDiskSparseVer2BackingInfo:
		for ; b != nil; b = b.Parent {
			out = append(out, link{b.FileName, b.Uuid, b.DiskMode})
		}
	case *types.VirtualDiskRawDiskMappingVer1BackingInfo:
		for ; b != nil; b = b.Parent {
			out = append(out, link{b.FileName, b.Uuid, b.DiskMode})
		}
	}
	return out
}

func disksOf(devices []types.BaseVirtualDevice) []*types.VirtualDisk {
	var out []*types.VirtualDisk
	for _, d := range devices {
		if x, ok := d.(*types.VirtualDisk); ok {
			out = append(out, x)
		}
	}
	return out
}

// cardsOf are the network cards, in their order.
func cardsOf(devices []types.BaseVirtualDevice) []types.BaseVirtualEthernetCard {
	var out []types.BaseVirtualEthernetCard
	for _, d := range devices {
		if x, ok := d.(types.BaseVirtualEthernetCard); ok {
			out = append(out, x)
		}
	}
	slices.SortStableFunc(out, func(a, b types.BaseVirtualEthernetCard) int {
		return cmp.Compare(a.GetVirtualEthernetCard().Key, b.GetVirtualEthernetCard().Key)
	})
	return out
}

// newCard is a network card of a kind.
func newCard(kind string) (types.BaseVirtualEthernetCard, error) {
	switch kind {
	case "vmxnet3", "":
		return &types.VirtualVmxnet3{}, nil
	case "vmxnet2":
		return &types.VirtualVmxnet2{}, nil
	case "vmxnet":
		return &types.VirtualVmxnet{}, nil
	case "e1000":
		return &types.VirtualE1000{}, nil
	case "e1000e":
		return &types.VirtualE1000e{}, nil
	case "pcnet32":
		return &types.VirtualPCNet32{}, nil
	case "vmxnet3vrdma":
		return &types.VirtualVmxnet3Vrdma{}, nil
	}
	return nil, fmt.Errorf("network cards of kind %q are not supported", kind)
}

func change(op types.VirtualDeviceConfigSpecOperation, d types.BaseVirtualDevice) types.BaseVirtualDeviceConfigSpec {
	return &types.VirtualDeviceConfigSpec{Operation: op, Device: d}
}
