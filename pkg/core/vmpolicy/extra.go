package vmpolicy

import (
	"strings"

	"tidemark.dev/pkg/contract/inventory"
)

// NeedsExtra reports whether a replica needs an advanced setting of its source,
// because a guest may depend on it. PCI slots are included: Linux names network
// cards after them. Of guestinfo, only the metadata is included: a guest
// recognizes itself by its instance-id.
func NeedsExtra(key string) bool {
	k := strings.ToLower(key)
	for _, p := range []string{
		"disk.enableuuid", "cpuid.", "hypervisor.cpuid", "vhv.", "monitor_control.", "monitor.",
		"smbios.", "smc.", "board-id", "hw.model", "serialnumber", "uefi.", "bios.", "mce.", "numa.", "isolation.",
		"devices.hotplug", "sched.cpu.latencysensitivity",
	} {
		if strings.HasPrefix(k, p) {
			return true
		}
	}
	return k == "guestinfo.metadata" || strings.HasSuffix(k, ".pcislotnumber")
}

// MayReadExtra reports whether an advanced setting may leave the vCenter: a
// replica or Tidemark itself needs it. Others may hold secrets.
func MayReadExtra(key string) bool {
	switch key {
	case inventory.MarkGroup, inventory.MarkJob, inventory.MarkRun, inventory.MarkTransporter, inventory.MarkDisks, inventory.MarkData, inventory.MarkRecipe, inventory.GuestName, inventory.GuestVersion:
		return true
	}
	return NeedsExtra(key)
}

// ReplicaHardware is the hardware of a source VM that its replica VM is created
// with: without disks, which are attached later, and with only those settings that
// a guest may depend on.
func ReplicaHardware(h inventory.Hardware) inventory.Hardware {
	h.Disks = nil
	extra := map[string]string{}
	for k, v := range h.Extra {
		if NeedsExtra(k) {
			extra[k] = v
		}
	}
	h.Extra = extra
	return h
}
