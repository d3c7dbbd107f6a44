package vmpolicy

import (
	"fmt"
	"strings"

	"tidemark.dev/pkg/contract/inventory"
)

// namedVMs is how many VMs a warning about many names.
const namedVMs = 5

// NotCopied warns of what VMs have beside their disks and settings, and their replicas will
// not: the variables of EFI firmware, which are in a file of the VM's own (nvram). It is
// one warning for all of them, because most VMs have such firmware.
func NotCopied(vms []inventory.VM) (inventory.Problem, bool) {
	var names []string
	for _, v := range vms {
		if v.Hardware.Firmware == "efi" {
			names = append(names, v.Name)
		}
	}
	if len(names) == 0 {
		return inventory.Problem{}, false
	}
	who := strings.Join(names, ", ")
	if n := len(names) - namedVMs; n > 0 {
		who = fmt.Sprintf("%s and %d more", strings.Join(names[:namedVMs], ", "), n)
	}
	return inventory.Problem{Path: "/spec/source/vms", Rule: "nvram", Warning: true,
		Text: "EFI variables (the nvram file) are not copied, for " + who + ": a replica has no boot entries and no Secure Boot keys of its own, and boots from the default path of its first disk (EFI/BOOT). Check in a test failover that its guest starts"}, true
}
