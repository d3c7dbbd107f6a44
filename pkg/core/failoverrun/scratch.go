package failoverrun

import "tidemark.dev/pkg/contract/recovery"

// ScratchLimit is how many bytes what is written to the run's disks may take; 0: no limit.
// A machine in production is never limited.
func (r Run) ScratchLimit() int64 {
	if r.Mode != recovery.Test {
		return 0
	}
	return int64(r.Pinned.Spec.Failover.Scratch)
}
