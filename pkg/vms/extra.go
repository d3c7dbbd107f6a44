package vms

import "strings"

// Marks are advanced settings by which a VM that Tidemark made is known again.
const (
	MarkGroup       = "tidemark.group"       // a replica's, and a test VM's: the group
	MarkJob         = "tidemark.job"         // the job on VMs
	MarkRun         = "tidemark.run"         // a test VM's: the failover run
	MarkTransporter = "tidemark.transporter" // a transporter's: its name
)

// Mark is one of the marks; empty: the VM does not have it.
func (v VM) Mark(key string) string { return v.Hardware.Extra[key] }

// Ours: Tidemark made the VM, so no job means it.
func (v VM) Ours() bool {
	for _, k := range []string{MarkGroup, MarkJob, MarkRun, MarkTransporter} {
		if v.Mark(k) != "" {
			return true
		}
	}
	return false
}

// ExtraThatMatters says whether an advanced setting is kept in Hardware.Extra: a
// guest may depend on it, or it is a mark. PCI slots are among them: Linux names
// its network cards after them.
func ExtraThatMatters(key string) bool {
	k := strings.ToLower(key)
	for _, p := range []string{
		"tidemark.", "disk.enableuuid", "cpuid.", "hypervisor.cpuid", "vhv.", "monitor_control.", "monitor.",
		"smbios.", "smc.", "board-id", "hw.model", "serialnumber", "uefi.", "bios.", "mce.", "numa.", "isolation.",
		"guestinfo.metadata", "guestinfo.userdata", "guestinfo.vendordata", "devices.hotplug", "sched.cpu.latencysensitivity",
	} {
		if strings.HasPrefix(k, p) {
			return true
		}
	}
	return strings.HasSuffix(k, ".pcislotnumber")
}

// ForReplica is the hardware that a replica VM is made of: without disks, which
// are attached later, and without marks.
func (h Hardware) ForReplica() Hardware {
	h.Disks = nil
	extra := map[string]string{}
	for k, v := range h.Extra {
		if !strings.HasPrefix(k, "tidemark.") {
			extra[k] = v
		}
	}
	h.Extra = extra
	return h
}
