package failoverrun

import (
	"fmt"
	"strings"
	"time"

	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/recovery"
)

// PhaseText says in words what the run is doing or waits for.
func (r Run) PhaseText() string {
	cur, _ := r.Current()
	switch r.Phase {
	case recovery.Running:
		return "in progress: " + string(cur.Step)
	case recovery.Usable:
		if r.To == recovery.ToVM {
			return "the VM runs and is being checked"
		}
		return "the disks can be used; the replica is being moved to the point in the background"
	case recovery.Ready:
		what, then := "the disks can be used", "replication is halted"
		switch r.To {
		case recovery.ToVM:
			what = "the VM runs"
		case recovery.ToFiles:
			what = "the replica holds the point; its files are locked, and must not be used before the commit"
		}
		if r.CheckFailed {
			what += ", but not every check passed"
		}
		if r.Mode == recovery.Test {
			then = "replication continues"
		}
		return "ready: " + what + "; " + then
	case recovery.Ending:
		return fmt.Sprintf("%s in progress: %s", r.Goal, cur.Step)
	case recovery.Failed:
		if r.Over() {
			return "failed, and every step was reversed"
		}
		return fmt.Sprintf("failed during %s; the run still holds resources", r.Goal)
	case recovery.Cleaned:
		return "cleaned up: the test left nothing behind"
	case recovery.Undone:
		return "undone: replication continues, all recovery points are kept"
	case recovery.Committed:
		if r.To == recovery.ToVM {
			return "committed: the replica VM is the VM"
		}
		return "committed: the replica is the disk"
	}
	return string(r.Phase)
}

// NextText says what the operator can do with the run; empty when there is
// nothing to do.
func (r Run) NextText() string {
	switch {
	case r.Over():
		return ""
	case r.Phase == recovery.Ready && r.CheckFailed:
		return "check the VM again: tidemark failover check " + r.Job + "; " + r.endHint()
	case r.Mode == recovery.Test:
		return r.endHint()
	case r.Goal == recovery.Commit:
		if r.Phase == recovery.Failed {
			return "try again: tidemark failover commit " + r.Job
		}
		return ""
	case r.Goal == recovery.Undo || r.Goal == recovery.Back:
		if r.Phase == recovery.Failed {
			return "try again: tidemark failover undo " + r.Job
		}
		return ""
	case r.Phase == recovery.Ready && r.To == recovery.ToFiles:
		return "unlock the files and keep them: tidemark failover commit " + r.Job + "; take it back: tidemark failover undo " + r.Job
	case r.Phase == recovery.Failed, r.Phase == recovery.Usable, r.Phase == recovery.Ready:
		return r.endHint()
	}
	return ""
}

// Summary says in words what came of a run that is at rest.
func (r Run) Summary() string {
	switch r.Phase {
	case recovery.Cleaned:
		return "the test is over and left nothing behind"
	case recovery.Undone:
		return "the failover is undone: replication continues, all recovery points are kept"
	case recovery.Failed:
		text := "failed: " + r.Error
		if r.Over() {
			return text + "; every step was reversed, nothing is changed"
		}
		return text
	}
	var parts []string
	if r.Resolved != nil {
		parts = append(parts, "at "+PointText(*r.Resolved))
	}
	switch {
	case r.Export != nil:
		parts = append(parts, "disks: "+URIs(*r.Export))
	case len(r.Paths) > 0:
		parts = append(parts, "disks: "+strings.Join(r.Paths, " "))
	}
	if r.VM != nil {
		parts = append(parts, "VM: "+VMText(*r.VM))
		switch {
		case len(r.VM.Checks) > 0:
			parts = append(parts, "checks "+ChecksText(*r.VM))
		case r.CheckFailed:
			parts = append(parts, "its checks could not be made")
		}
	}
	if l := r.Loss(); l != "" {
		parts = append(parts, "lost: "+l)
	}
	return strings.Join(parts, "; ")
}

// PointText names a resolved point, with its time and the error of that time.
func PointText(r api.Resolved) string {
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

// URIs are the NBD URIs of an export's disks, in one line.
func URIs(x api.Export) string {
	out := make([]string, len(x.Disks))
	for i, d := range x.Disks {
		out[i] = d.URI
	}
	return strings.Join(out, " ")
}
