package health

import (
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/failoverrun"
	"tidemark.dev/pkg/core/rpo"
)

// startTime is how long a job may take to start.
const startTime = 15 * time.Second

// Facts are what Judge looks at. A nil field is not known.
type Facts struct {
	Job     spec.ReplicationJob
	Running bool // the job is meant to run
	// Started is when the job was last told to run; zero if that is not known.
	Started time.Time
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
	// Back is the job that leads back from a committed failover; nil: there is none.
	Back *spec.ReplicationJob
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

// over reports whether a failover of the job was committed. Nothing of the job
// matters any more except that.
func (f Facts) over() bool {
	return f.Failover.Holds(f.Job) && f.Failover.Phase == recovery.Committed || f.Journal != nil && f.Journal.State == event.JournalSealed
}

// production reports whether a production failover holds the job.
func (f Facts) production() bool {
	return f.Failover != nil && !f.Failover.Over() && f.Failover.Mode == recovery.Production
}

// recoverable reports whether the journal has a point.
func (f Facts) recoverable() bool { return f.Journal != nil && f.Journal.Newest != nil }

// starting reports whether the job was told to run so recently that services
// which know nothing of it yet are no fault.
func (f Facts) starting() bool {
	age := f.Now.Sub(f.Started)
	return !f.Started.IsZero() && age >= 0 && age < startTime && !f.recoverable() && f.JournalErr == nil && f.CaptureErr == nil && f.Refused == nil &&
		(f.Capture == nil || f.Capture.State == event.Detached)
}

// firstCopy reports whether the job's first copy is in progress, at the source or on
// its way to the journal.
func (f Facts) firstCopy() bool {
	if f.recoverable() || f.JournalErr != nil || f.CaptureErr != nil || f.Capture == nil || f.production() {
		return false
	}
	switch f.Capture.State {
	case event.Seeding:
		return true
	case event.Replicating, event.Resyncing:
		return f.Capture.Reason == "" && (f.Journal == nil || f.Journal.State == event.JournalEmpty || !f.Journal.Consistent)
	}
	return false
}

// resyncing reports whether capture itself says that blocks are sent again.
func (f Facts) resyncing() bool {
	return f.CaptureErr == nil && f.Capture != nil && f.Capture.State == event.Resyncing && f.Job.Source.Capture != cdp.CBT
}
