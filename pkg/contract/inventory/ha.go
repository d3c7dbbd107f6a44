package inventory

// HADisabled is the restart priority of a VM that vSphere HA does not restart.
const HADisabled = "disabled"

// HARestart says whether vSphere HA restarts a VM after its host failed. The zero value is
// a VM that no cluster with HA has.
type HARestart struct {
	// Restarts: HA is on in the VM's cluster, and restarts the VM.
	Restarts bool `json:"restarts,omitempty"`
	// Override: the cluster has a setting for this VM, with this Priority. Otherwise that of
	// the cluster applies.
	Override bool   `json:"override,omitempty"`
	Priority string `json:"priority,omitempty"`
}

// Disabled reports whether the VM's own setting says that HA does not restart it.
func (h HARestart) Disabled() bool { return h.Override && h.Priority == HADisabled }

// Off is the same VM, not restarted by HA.
func (h HARestart) Off() HARestart { return HARestart{Override: true, Priority: HADisabled} }
