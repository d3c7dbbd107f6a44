package vsphere

import (
	"github.com/vmware/govmomi/vim25/types"

	"tidemark.dev/pkg/contract/inventory"
)

// hardwareOf translates the configuration of a VM or snapshot. A NIC on a
// distributed or opaque network has no NetName yet; see nameNetworks.
func hardwareOf(c *types.VirtualMachineConfigInfo) inventory.Hardware {
	h := inventory.Hardware{
		Version: c.Version, GuestID: c.GuestId,
		CPUs: c.Hardware.NumCPU, MemoryMB: int64(c.Hardware.MemoryMB),
		Firmware: c.Firmware, Encrypted: c.KeyId != nil,
		NestedHV: isTrue(c.NestedHVEnabled), CPUHotAdd: isTrue(c.CpuHotAddEnabled), MemoryHotAdd: isTrue(c.MemoryHotAddEnabled),
		VBS: isTrue(c.Flags.VbsEnabled), IOMMU: isTrue(c.Flags.VvtdEnabled),
		Controllers: []inventory.Controller{}, Disks: []inventory.Disk{}, NICs: []inventory.NIC{},
	}
	if n := c.Hardware.NumCoresPerSocket; n != nil && *n > 1 {
		h.PerSocket = *n
	}
	if h.Firmware == "" {
		h.Firmware = string(types.GuestOsDescriptorFirmwareTypeBios)
	}
	if c.BootOptions != nil {
		h.SecureBoot = isTrue(c.BootOptions.EfiSecureBootEnabled)
	}
	for _, d := range c.Hardware.Device {
		switch d := d.(type) {
		case *types.VirtualTPM:
			h.TPM = true
		case *types.VirtualDisk:
			h.Disks = append(h.Disks, diskOf(d))
		default:
			if k, ok := controllerOf(d); ok {
				h.Controllers = append(h.Controllers, k)
			} else if n, ok := nicOf(d); ok {
				h.NICs = append(h.NICs, n)
			}
		}
	}
	h.Extra = extraOf(c.ExtraConfig)
	return h
}

func controllerOf(d types.BaseVirtualDevice) (inventory.Controller, bool) {
	v := d.GetVirtualDevice()
	k := inventory.Controller{Key: v.Key}
	if s, ok := d.(types.BaseVirtualSCSIController); ok {
		c := s.GetVirtualSCSIController()
		k.Bus = c.BusNumber
		switch d.(type) {
		case *types.ParaVirtualSCSIController:
			k.Kind = "pvscsi"
		case *types.VirtualLsiLogicSASController:
			k.Kind = "lsilogic-sas"
		case *types.VirtualBusLogicController:
			k.Kind = "buslogic"
		default:
			k.Kind = "lsilogic"
		}
		switch c.SharedBus {
		case types.VirtualSCSISharingVirtualSharing:
			k.Sharing = "virtual"
		case types.VirtualSCSISharingPhysicalSharing:
			k.Sharing = "physical"
		default:
			k.Sharing = "none"
		}
		return k, true
	}
	switch c := d.(type) {
	case *types.VirtualNVMEController:
		k.Kind, k.Bus = "nvme", c.BusNumber
	case *types.VirtualAHCIController:
		k.Kind, k.Bus = "ahci", c.BusNumber
	case *types.VirtualIDEController:
		k.Kind, k.Bus = "ide", c.BusNumber
	default:
		return k, false
	}
	return k, true
}

// diskOf is a disk of a VM or of a snapshot's configuration.
func diskOf(d *types.VirtualDisk) inventory.Disk {
	out := inventory.Disk{Key: d.Key, Label: labelOf(d), Controller: d.ControllerKey, Size: d.CapacityInBytes, Filters: d.Iofilter}
	if out.Size == 0 {
		out.Size = d.CapacityInKB << 10
	}
	if d.UnitNumber != nil {
		out.Unit = *d.UnitNumber
	}
	switch b := d.Backing.(type) {
	case *types.VirtualDiskFlatVer2BackingInfo:
		out.File, out.UUID, out.Mode, out.ChangeID = b.FileName, b.Uuid, b.DiskMode, b.ChangeId
		out.Thin = isTrue(b.ThinProvisioned)
		out.Sharing = shares(b.Sharing)
	case *types.VirtualDiskSeSparseBackingInfo:
		out.File, out.UUID, out.Mode, out.ChangeID = b.FileName, b.Uuid, b.DiskMode, b.ChangeId
		out.Thin = true
	case *types.VirtualDiskSparseVer2BackingInfo:
		out.File, out.UUID, out.Mode, out.ChangeID = b.FileName, b.Uuid, b.DiskMode, b.ChangeId
		out.Thin = true
	case *types.VirtualDiskRawDiskMappingVer1BackingInfo:
		out.File, out.UUID, out.Mode, out.ChangeID = b.FileName, b.Uuid, b.DiskMode, b.ChangeId
		out.RDM = "physical"
		if b.CompatibilityMode == string(types.VirtualDiskCompatibilityModeVirtualMode) {
			out.RDM = "virtual"
		}
		out.Sharing = shares(b.Sharing)
	case *types.VirtualDiskRawDiskVer2BackingInfo:
		out.File, out.UUID, out.ChangeID, out.RDM = b.DescriptorFileName, b.Uuid, b.ChangeId, "physical"
		out.Sharing = shares(b.Sharing)
	case *types.VirtualDiskLocalPMemBackingInfo:
		out.File, out.UUID, out.Mode = b.FileName, b.Uuid, b.DiskMode
	}
	for i, l := range linksOf(d) {
		if i > 0 {
			out.Below = append(out.Below, l.file)
		}
	}
	if out.Mode == "" {
		out.Mode = string(types.VirtualDiskModePersistent)
	}
	return out
}

func shares(s string) bool {
	return s == string(types.VirtualDiskSharingSharingMultiWriter)
}

func nicOf(d types.BaseVirtualDevice) (inventory.NIC, bool) {
	e, ok := d.(types.BaseVirtualEthernetCard)
	if !ok {
		return inventory.NIC{}, false
	}
	c := e.GetVirtualEthernetCard()
	n := inventory.NIC{Key: c.Key, Label: labelOf(d), Kind: nicKind(d), MAC: c.MacAddress}
	if c.Connectable != nil {
		n.Connected = c.Connectable.StartConnected
	}
	switch b := c.Backing.(type) {
	case *types.VirtualEthernetCardNetworkBackingInfo:
		n.Network, n.NetName = refOf(b.Network), b.DeviceName
	case *types.VirtualEthernetCardDistributedVirtualPortBackingInfo:
		n.Network = refOf(&types.ManagedObjectReference{Type: "DistributedVirtualPortgroup", Value: b.Port.PortgroupKey})
	case *types.VirtualEthernetCardOpaqueNetworkBackingInfo:
		n.NetName = b.OpaqueNetworkId // nameNetworks finds the network of this id
	}
	return n, true
}

func nicKind(d types.BaseVirtualDevice) string {
	switch d.(type) {
	case *types.VirtualVmxnet3Vrdma:
		return "vmxnet3vrdma"
	case *types.VirtualVmxnet3:
		return "vmxnet3"
	case *types.VirtualVmxnet2:
		return "vmxnet2"
	case *types.VirtualVmxnet:
		return "vmxnet"
	case *types.VirtualE1000e:
		return "e1000e"
	case *types.VirtualE1000:
		return "e1000"
	case *types.VirtualPCNet32:
		return "pcnet32"
	case *types.VirtualSriovEthernetCard:
		return "sriov"
	}
	return "unknown"
}

func labelOf(d types.BaseVirtualDevice) string {
	if i := d.GetVirtualDevice().DeviceInfo; i != nil {
		return i.GetDescription().Label
	}
	return ""
}

func isTrue(b *bool) bool { return b != nil && *b }
