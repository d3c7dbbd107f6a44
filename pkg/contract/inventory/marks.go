package inventory

// Marks are advanced settings that identify VMs made by Tidemark.
const (
	MarkGroup       = "tidemark.group"       // of a replica or test VM: its group
	MarkJob         = "tidemark.job"         // the job on VMs
	MarkRun         = "tidemark.run"         // of a test VM: the failover run
	MarkInstead     = "tidemark.instead"     // of a replica: the UUID of the one whose place it took
	MarkTransporter = "tidemark.transporter" // of a transporter: its name
	MarkDisks       = "tidemark.disks"       // of a transporter: the UUIDs of its own disks, separated by commas
	MarkData        = "tidemark.data"        // of a transporter: the slot of the disk that has everything it keeps, scsi0:1
	MarkRecipe      = "tidemark.recipe"      // of a transporter: what it was deployed from, as JSON; no secret
)

// NoMark is the value of a mark that was removed: not every vCenter can delete a
// setting.
const NoMark = "none"

// GuestName and GuestVersion are the settings handed to a transporter's guest
// that are no secret. The others are its credentials.
const (
	GuestName    = "guestinfo.tidemark.name"
	GuestVersion = "guestinfo.tidemark.version"
)

// Mark is the value of a mark; empty if the VM does not have it.
func (v VM) Mark(key string) string {
	if m := v.Hardware.Extra[key]; m != NoMark {
		return m
	}
	return ""
}

// Ours reports whether Tidemark made the VM. No job can protect such a VM.
func (v VM) Ours() bool {
	for _, k := range []string{MarkGroup, MarkJob, MarkRun, MarkTransporter} {
		if v.Mark(k) != "" {
			return true
		}
	}
	return false
}
