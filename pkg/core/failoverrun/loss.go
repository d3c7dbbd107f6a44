package failoverrun

import (
	"fmt"
	"time"

	"tidemark.dev/pkg/contract/recovery"
)

// Loss says in words which of the source's writes the run loses, as far as that
// can be known. It is empty for a test, for a run that was taken back, and before
// the point is resolved.
func (r Run) Loss() string {
	if r.Resolved == nil || r.Mode == recovery.Test || r.Phase == recovery.Undone || r.Phase == recovery.Failed && r.Over() {
		return ""
	}
	switch {
	case r.Snapshots && r.Planned:
		return "what the VM wrote after its last snapshot: nothing, if it was off by then" + r.age()
	case r.Snapshots:
		return "what the VM wrote after the snapshot of this point" + r.age()
	}
	at := r.Resolved.Seq
	if r.Captured != nil {
		switch n := *r.Captured; {
		case n <= at && r.Planned:
			return fmt.Sprintf("no write is lost: the source's last write, %d, is included", n)
		case n <= at:
			return "nothing: every write the source had captured is included"
		case r.Planned:
			return fmt.Sprintf("%d writes, made after the source was drained: was the VM still running?", n-at)
		default:
			return fmt.Sprintf("%d writes the source had captured%s", n-at, r.age())
		}
	}
	if r.Planned {
		return "nothing up to the drain: the last drained write is included"
	}
	if r.Bounds != nil && r.Bounds.Head > at {
		return fmt.Sprintf("%d writes that had reached this site, and what the source had not sent (it does not answer)%s", r.Bounds.Head-at, r.age())
	}
	return "what the source had not sent: it does not answer, so the number of writes is unknown" + r.age()
}

// age says how much older the point is than the halt.
func (r Run) age() string {
	if r.HaltedAt.IsZero() || r.Resolved.Time.IsZero() {
		return ""
	}
	d := r.HaltedAt.Sub(r.Resolved.Time).Round(time.Millisecond)
	if r.Resolved.Bound == 0 {
		return fmt.Sprintf("; the point is %v older than the halt (clock error not measured)", d)
	}
	return fmt.Sprintf("; the point is %v older than the halt, +- %v", d, r.Resolved.Bound.Round(time.Microsecond))
}
