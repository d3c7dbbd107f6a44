package inventory

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"tidemark.dev/pkg/cdp"
)

// maxName is the longest name that cdp.NameRule allows.
const maxName = 40

// GroupName names the group of a job's VM: <job>-<vm>, as far as that is a name
// and not taken; else it is shortened and ends in a piece of the hash of the
// VM's UUID. It is chosen once: a VM that is renamed keeps it.
func GroupName(job, vm, uuid string, taken func(string) bool) cdp.GroupID {
	clean := cleanName(vm)
	plain := job + "-" + clean
	if clean == vm && len(plain) <= maxName && !taken(plain) {
		return cdp.GroupID(plain)
	}
	sum := sha256.Sum256([]byte(uuid))
	tail := "-" + hex.EncodeToString(sum[:3])
	head := plain
	if room := maxName - len(tail); len(head) > room {
		// A long job's name must not hide which VM it is.
		j := job[:min(len(job), room/2)]
		head = j + "-" + clean
		head = head[:min(len(head), room)]
	}
	return cdp.GroupID(strings.TrimRight(head, "-") + tail)
}

// cleanName is text as a name may have it: other characters become dashes.
func cleanName(text string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(text) {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			b.WriteRune(r)
		} else if b.Len() > 0 && !strings.HasSuffix(b.String(), "-") {
			b.WriteByte('-')
		}
	}
	return strings.Trim(b.String(), "-")
}

// DiskName is the name of a group's disk that is plugged in at an address:
// scsi0-1 for scsi0:1.
func DiskName(address string) string { return strings.ReplaceAll(address, ":", "-") }
