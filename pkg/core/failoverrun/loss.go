package failoverrun

import (
	"fmt"
	"time"
)

// Loss says in words what the run loses of the source's writes, as far as it
// can be known; empty before it is.
func (s State) Loss() string {
	if s.Resolved == nil || s.Mode == "test" {
		return ""
	}
	switch {
	case s.Snapshots && s.Planned:
		return "what the VM wrote after its last snapshot: nothing, if it was off by then" + s.gap()
	case s.Snapshots:
		return "what the VM wrote after the snapshot that the point is of" + s.gap()
	}
	at := s.Resolved.Seq
	if s.Captured != nil {
		switch n := *s.Captured; {
		case n <= at && s.Planned:
			return "no write is lost: the source's last write is included"
		case n <= at:
			return "nothing: every write the source had captured is included"
		case s.Planned:
			return fmt.Sprintf("%d writes, made after the source was drained: was the VM still running?", n-at)
		default:
			return fmt.Sprintf("%d writes the source had captured%s", n-at, s.gap())
		}
	}
	if s.Planned {
		return "nothing up to the drain: the last write drained is included"
	}
	if s.Bounds != nil && s.Bounds.Head > at {
		return fmt.Sprintf("%d writes that reached this site, and what the source had not sent (it does not answer)%s", s.Bounds.Head-at, s.gap())
	}
	return "what the source had not sent: it does not answer, so how much cannot be known" + s.gap()
}

// gap is the time behind the point.
func (s State) gap() string {
	from := s.HaltedAt
	if from.IsZero() || s.Resolved.Time.IsZero() {
		return ""
	}
	d := from.Sub(s.Resolved.Time).Round(time.Millisecond)
	if s.Resolved.Bound == 0 {
		return fmt.Sprintf("; the point is %v older than the halt (clock error not measured)", d)
	}
	return fmt.Sprintf("; the point is %v older than the halt, +- %v", d, s.Resolved.Bound.Round(time.Microsecond))
}
