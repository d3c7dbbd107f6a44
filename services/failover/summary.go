package failover

import (
	"fmt"
	"strings"
	"time"

	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/core/failoverrun"
)

// Point says in words what was resolved.
func Point(r api.Resolved) string {
	name := fmt.Sprintf("write %d", r.Seq)
	if r.Point != nil {
		name = fmt.Sprintf("point %s (write %d)", r.Point.ID(), r.Seq)
	}
	if r.Time.IsZero() {
		return name
	}
	bound := "clock error not measured"
	if r.Bound > 0 {
		bound = "+- " + r.Bound.Round(time.Microsecond).String()
	}
	return fmt.Sprintf("%s of %s, %s", name, r.Time.UTC().Format("2006-01-02 15:04:05.000 MST"), bound)
}

// Summary says in words what came of a run.
func Summary(s failoverrun.Run) string {
	switch s.Phase {
	case recovery.Cleaned:
		return "the test is over and left nothing behind"
	case recovery.Undone:
		return "the failover is undone: replication goes on, all recovery points are kept"
	case recovery.Failed:
		text := "failed: " + s.Error
		if s.Over() {
			return text + "; what was begun was taken back, nothing is changed"
		}
		return text
	}
	var parts []string
	if s.Resolved != nil {
		parts = append(parts, "at "+Point(*s.Resolved))
	}
	switch {
	case s.Export != nil:
		parts = append(parts, "disks: "+strings.Join(uris(*s.Export), " "))
	case len(s.Paths) > 0:
		parts = append(parts, "disks: "+strings.Join(s.Paths, " "))
	}
	if s.VM != nil {
		parts = append(parts, "VM: "+VM(*s.VM))
		switch {
		case len(s.VM.Checks) > 0:
			parts = append(parts, "checks "+Checks(*s.VM))
		case s.CheckFailed:
			parts = append(parts, "its checks could not be made")
		}
	}
	if l := s.Loss(); l != "" {
		parts = append(parts, "lost: "+l)
	}
	return strings.Join(parts, "; ")
}

func uris(x api.Export) []string {
	out := make([]string, len(x.Disks))
	for i, d := range x.Disks {
		out[i] = d.URI
	}
	return out
}
