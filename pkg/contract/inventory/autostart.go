package inventory

import "strings"

// AutoStart says whether a host starts a VM when the host itself starts, and how. The zero
// value is a VM that the host does not list, and does not start.
type AutoStart struct {
	StartAction string `json:"startAction,omitempty"` // powerOn or none
	// StartOrder is at least 1, or -1 for at any time.
	StartOrder int32 `json:"startOrder,omitempty"`
	// The delays are in seconds; -1 is the host's default.
	StartDelay       int32  `json:"startDelay,omitempty"`
	WaitForHeartbeat string `json:"waitForHeartbeat,omitempty"`
	StopAction       string `json:"stopAction,omitempty"`
	StopDelay        int32  `json:"stopDelay,omitempty"`
}

// Starts reports whether the VM is started with its host.
func (a AutoStart) Starts() bool { return strings.EqualFold(a.StartAction, "powerOn") }

// Off is the same VM, not started with its host.
func (a AutoStart) Off() AutoStart {
	a.StartAction, a.StartOrder = "none", -1
	return a
}
