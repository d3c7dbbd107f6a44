package vmpolicy

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"tidemark.dev/pkg/cdp"
)

// maxName is the longest name that cdp.NameRule allows.
const maxName = 40

// GroupName names the group of a job's VM: <job>-<vm> if that is a valid name and
// not taken, otherwise a shortened form that ends in part of the hash of the VM's
// UUID. The name is chosen once: a renamed VM keeps it.
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
		// A long job name must not hide the VM's.
		j := job[:min(len(job), room/2)]
		head = j + "-" + clean
		head = head[:min(len(head), room)]
	}
	return cdp.GroupID(strings.TrimRight(head, "-") + tail)
}

// cleanName turns text into a valid part of a name: other characters become
// dashes.
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

// DiskName is the name of a group's disk at an address: scsi0-1 for scsi0:1.
func DiskName(address string) string { return strings.ReplaceAll(address, ":", "-") }
