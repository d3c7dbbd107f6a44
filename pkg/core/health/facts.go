package health

import (
	"time"

	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/failoverrun"
	"tidemark.dev/pkg/core/rpo"
)

// Facts are what Judge looks at. A nil field is not known.
type Facts struct {
	Job     spec.ReplicationJob
	Running bool // the job is meant to run
	RPO     *rpo.Record
	// Journal is the group's status; JournalErr why the journal gave none.
	Journal    *api.GroupStatus
	JournalErr error
	// Capture is the group's status; Refused why it is not captured; CaptureErr
	// why capture said neither.
	Capture    *api.CaptureGroup
	Refused    *api.CaptureRefused
	CaptureErr error
	Failover   *failoverrun.Run
	// Member is the VM as the vcenter service sees it. It is needed only if
	// NeedsMember.
	Member *api.VMMember
	Now    time.Time
}

// NeedsMember reports whether the vcenter service has to be asked about the VM:
// its writes are not reported, which is no loss while it is off.
func (f Facts) NeedsMember() bool {
	return f.Job.Source.VM != "" && f.Capture != nil && f.Capture.State == event.NeedsResync
}
