package failoverrun

import (
	"fmt"
	"strings"

	"tidemark.dev/pkg/contract/api"
)

// VMText says where a VM runs, and its addresses.
func VMText(vm api.VMRun) string {
	text := vm.Name + " is " + string(vm.Power)
	if vm.Host != "" {
		text += " on host " + vm.Host
	}
	if len(vm.IPs) > 0 {
		text += ", " + strings.Join(vm.IPs, " ")
	}
	return text
}

// ChecksText says which checks of a VM failed, and which passed.
func ChecksText(vm api.VMRun) string {
	if len(vm.Checks) == 0 {
		return "no checks"
	}
	var failed, passed []string
	for _, c := range vm.Checks {
		switch {
		case c.OK:
			passed = append(passed, c.Name)
		case c.Text == "":
			failed = append(failed, c.Name)
		default:
			failed = append(failed, fmt.Sprintf("%s (%s)", c.Name, c.Text))
		}
	}
	var parts []string
	if len(failed) > 0 {
		parts = append(parts, "failed: "+strings.Join(failed, ", "))
	}
	if len(passed) > 0 {
		parts = append(parts, "passed: "+strings.Join(passed, ", "))
	}
	return strings.Join(parts, "; ")
}
