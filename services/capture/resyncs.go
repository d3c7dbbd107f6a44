package capture

import (
	"maps"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
)

// resyncs counts, by cause, how often a group had to send again what it had sent.
type resyncs map[event.ResyncCause]uint64

// note counts a step between two states if it begins a resync.
func (r resyncs) note(job Job, from, to event.CaptureState) {
	if cause := resyncOf(job, from, to); cause != "" {
		r[cause]++
	}
}

func (r resyncs) all() map[event.ResyncCause]uint64 { return maps.Clone(r) }

// resyncOf is the cause of the resync that a step begins; empty: it begins none. The cycles
// of a cbt group are none, and a frozen tap waits in needs-resync whenever its clients are
// not there: its resync begins with the pass.
func resyncOf(job Job, from, to event.CaptureState) event.ResyncCause {
	switch {
	case to == event.NeedsResync && !job.Frozen && from != event.Resyncing:
		return event.ResyncTap
	case to != event.Resyncing:
		return ""
	case from == event.Overflow:
		return event.ResyncOverflow
	case from == event.Detached:
		return event.ResyncRejoined
	case from == event.NeedsResync && job.Frozen:
		return event.ResyncTap
	case from == event.Replicating && job.Mode != cdp.CBT:
		return event.ResyncDisk
	}
	return ""
}
