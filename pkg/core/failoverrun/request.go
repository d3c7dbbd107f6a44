package failoverrun

import (
	"slices"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/spec"
)

// Request is what an operator asked for.
type Request struct {
	// Job is the own job of the group to fail over, which has the same name. Of a
	// job on VMs each VM is failed over by itself.
	Job string `json:"job"`
	// ID names the run, 1 to 40 characters. The caller chooses it, so that asking
	// twice starts one run.
	ID   string               `json:"run"`
	Mode recovery.Mode        `json:"mode"`
	To   recovery.Destination `json:"to"`
	// Point (p123, latest, last-write, seq:456, a tag) or At; with neither the newest
	// point in a test, and the last write in production.
	Point string     `json:"point,omitempty"`
	At    *time.Time `json:"at,omitempty"`
	// Listen is where the NBD server listens: host:port, or the path of a unix
	// socket. Empty: the journal chooses.
	Listen string `json:"listen,omitempty"`
	// Planned: the source's last writes are waited for; it must answer.
	Planned bool `json:"planned,omitempty"`
	// Shutdown is how a production run to a VM powers off the VM at the source. A planned
	// run takes none, graceful or forced; empty: graceful. Any other takes none; empty:
	// it is powered off at once, or as soon as the source answers.
	Shutdown recovery.Shutdown `json:"shutdown,omitempty"`
	// ShutdownWait is how long the guest may take to shut down; 0: 5 minutes.
	ShutdownWait spec.Duration `json:"shutdownWait,omitempty"`
	// Force begins a production run although clients are connected.
	Force bool `json:"force,omitempty"`
	// CommitPolicy says how a production run ends if nobody has ended it within
	// CommitWindow after it was ready; empty: as the job's spec says, or else none. A
	// window of 0 is an hour.
	CommitPolicy recovery.Policy `json:"commitPolicy,omitempty"`
	CommitWindow spec.Duration   `json:"commitWindow,omitempty"`
	// NoReIP: the VM's guest keeps the addresses that it had at the source.
	NoReIP bool `json:"noReIP,omitempty"`
}

// Check returns an Invalid error that names the first field that is wrong.
func (r Request) Check() error {
	const op = "check failover"
	if err := cdp.CheckName("job", r.Job); err != nil {
		return err
	}
	switch {
	case r.ID == "" || len(r.ID) > 40:
		return cdp.Errorf(cdp.Invalid, op, "run", "%q: must have 1 to 40 characters", r.ID)
	case r.Mode != recovery.Test && r.Mode != recovery.Production:
		return cdp.Errorf(cdp.Invalid, op, "mode", "%q: must be test or production", r.Mode)
	case r.To != recovery.ToNBD && r.To != recovery.ToFiles && r.To != recovery.ToVM:
		return cdp.Errorf(cdp.Invalid, op, "to", "%q: must be nbd, files or vm", r.To)
	case r.Mode == recovery.Test && r.To == recovery.ToFiles:
		return cdp.Errorf(cdp.Invalid, op, "to", "a test cannot use files, because they are the replica itself: use nbd or vm")
	case r.Listen != "" && r.To == recovery.ToVM:
		return cdp.Errorf(cdp.Invalid, op, "listen", "not allowed with vm: nothing is served over NBD")
	case r.NoReIP && r.To != recovery.ToVM:
		return cdp.Errorf(cdp.Invalid, op, "noReIP", "needs vm: only a VM's guest is given addresses")
	case r.Point != "" && r.At != nil:
		return cdp.Errorf(cdp.Invalid, op, "at", "not allowed together with point")
	case r.Force && r.Mode == recovery.Test:
		return cdp.Errorf(cdp.Invalid, op, "force", "needs mode production: a test takes nothing from anybody")
	case r.CommitPolicy.Goal() != "" && r.Mode == recovery.Test:
		return cdp.Errorf(cdp.Invalid, op, "commitPolicy", "needs mode production: a test is ended with cleanup")
	case r.Planned && r.Mode == recovery.Test:
		return cdp.Errorf(cdp.Invalid, op, "planned", "needs mode production")
	case r.Shutdown != "" && (r.Mode == recovery.Test || r.To != recovery.ToVM):
		return cdp.Errorf(cdp.Invalid, op, "shutdown", "needs mode production and to vm: no other failover powers off a VM at the source")
	case r.Planned && !slices.Contains([]recovery.Shutdown{"", recovery.ShutNone, recovery.ShutGraceful, recovery.ShutForced}, r.Shutdown):
		return cdp.Errorf(cdp.Invalid, op, "shutdown", "%q: must be none, graceful or forced", r.Shutdown)
	case !r.Planned && r.Shutdown != "" && r.Shutdown != recovery.ShutNone:
		return cdp.Errorf(cdp.Invalid, op, "shutdown", "%q: must be none without planned, because an unplanned failover does not wait for a guest to shut down", r.Shutdown)
	case r.ShutdownWait != 0 && (!r.Planned || r.Shutdown == recovery.ShutNone):
		return cdp.Errorf(cdp.Invalid, op, "shutdownWait", "needs planned, and a shutdown that waits: graceful or forced")
	case r.ShutdownWait < 0 || r.ShutdownWait > spec.Duration(time.Hour):
		return cdp.Errorf(cdp.Invalid, op, "shutdownWait", "%s: must be at most 1h", r.ShutdownWait)
	case r.Planned && (r.Point != "" || r.At != nil):
		return cdp.Errorf(cdp.Invalid, op, "planned", "goes to the source's last write, so point and at are not allowed")
	}
	return CheckPolicy(r.CommitPolicy, r.CommitWindow)
}
