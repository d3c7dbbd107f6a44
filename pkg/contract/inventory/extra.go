package inventory

import "strings"

// Marks are advanced settings by which a VM that Tidemark made is known again.
const (
	MarkGroup       = "tidemark.group"       // a replica's, and a test VM's: the group
	MarkJob         = "tidemark.job"         // the job on VMs
	MarkRun         = "tidemark.run"         // a test VM's: the failover run
	MarkTransporter = "tidemark.transporter" // a transporter's: its name
	MarkDisks       = "tidemark.disks"       // a transporter's: the UUIDs of its own disks, with commas
	MarkRecipe      = "tidemark.recipe"      // a transporter's: what it was made of, as JSON; no secret
)

// NoMark is a mark's value that says that it was taken away: a setting cannot
// be deleted by every vCenter.
const NoMark = "none"

// Mark is one of the marks; empty: the VM does not have it.
func (v VM) Mark(key string) string {
	if m := v.Hardware.Extra[key]; m != NoMark {
		return m
	}
	return ""
}

// Ours: Tidemark made the VM, so no job means it.
func (v VM) Ours() bool {
	for _, k := range []string{MarkGroup, MarkJob, MarkRun, MarkTransporter} {
		if v.Mark(k) != "" {
			return true
		}
	}
	return false
}

// ExtraThatMatters says whether a replica needs an advanced setting of its
// source: a guest may depend on it. PCI slots are among them: Linux names its
// network cards after them. Of guestinfo only the metadata is, by whose
// instance-id a guest knows that it is still the same machine.
func ExtraThatMatters(key string) bool {
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

// What a transporter was handed that may be told: the rest are its credentials.
const (
	guestName    = "guestinfo.tidemark.name"
	GuestVersion = "guestinfo.tidemark.version"
)

// ExtraTold says whether an advanced setting may leave the vCenter: a replica
// needs it, or Tidemark itself does. Others may hold secrets.
func ExtraTold(key string) bool {
	switch key {
	case MarkGroup, MarkJob, MarkRun, MarkTransporter, MarkDisks, MarkRecipe, guestName, GuestVersion:
		return true
	}
	return ExtraThatMatters(key)
}

// ForReplica is the hardware that a replica VM is made of: without disks, which
// are attached later, and with those settings only that matter.
func (h Hardware) ForReplica() Hardware {
	h.Disks = nil
	extra := map[string]string{}
	for k, v := range h.Extra {
		if ExtraThatMatters(k) {
			extra[k] = v
		}
	}
	h.Extra = extra
	return h
}
