package failoverrun

import (
	"strconv"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/spec"
)

// StepRecord is one step of a run and what came of it.
type StepRecord struct {
	Step   recovery.Step       `json:"step"`
	Goal   recovery.Goal       `json:"goal"`
	Status recovery.StepStatus `json:"status"`
	Text   string              `json:"text,omitempty"`
	// StartedAt is when the step was last begun, and EndedAt when it was done or failed.
	StartedAt time.Time `json:"startedAt,omitzero"`
	EndedAt   time.Time `json:"endedAt,omitzero"`
}

// start notes that the step begins, or begins anew.
func (st *StepRecord) start(now time.Time) {
	st.Status, st.StartedAt, st.EndedAt = recovery.Started, now, time.Time{}
}

// Lasted is how long the step took; 0 while that is not known.
func (st StepRecord) Lasted() time.Duration {
	if st.StartedAt.IsZero() || st.EndedAt.IsZero() {
		return 0
	}
	return max(st.EndedAt.Sub(st.StartedAt), 0)
}

// Pinned is a job's spec as it was when the run began. The run works with it to
// its end, whatever becomes of the job meanwhile.
type Pinned struct {
	// Revision is that of the spec in its bucket.
	Revision uint64              `json:"revision"`
	Spec     spec.ReplicationJob `json:"spec"`
}

// Run is the record of a run: all that is stored of it, and enough to go on
// after a restart.
//
// Invariant: the steps of Goal are the last ones; of them those that are Done
// come first, then at most one that is Started or StepFailed, then Pending ones.
// Steps of earlier goals are never Pending; one that is Started there may have
// had its effect, or not.
type Run struct {
	Request
	// Pinned is set when the run begins, and never changed.
	Pinned Pinned         `json:"pinned"`
	Phase  recovery.Phase `json:"phase"`
	Goal   recovery.Goal  `json:"goal"`
	Next   recovery.Goal  `json:"next,omitempty"` // requested while a step was in progress
	Steps  []StepRecord   `json:"steps"`
	// Error is why the run failed, Kind its class, Hint what to do.
	Error string   `json:"error,omitempty"`
	Kind  cdp.Kind `json:"kind,omitempty"`
	Hint  string   `json:"hint,omitempty"`

	Drained  *api.DrainReply `json:"drained,omitempty"`
	Bounds   *cdp.Bounds     `json:"bounds,omitempty"`   // of the journal, when it was halted
	Captured *cdp.Seq        `json:"captured,omitempty"` // newest write at the source then, if it answered
	// Snapshots: the source's disks are read from snapshots, so writes after the
	// last snapshot are unknown.
	Snapshots bool          `json:"snapshots,omitempty"`
	Resolved  *api.Resolved `json:"resolved,omitempty"` // set once, never changed
	Export    *api.Export   `json:"export,omitempty"`
	Paths     []string      `json:"paths,omitempty"` // of the replica's images
	// Scratch are the paths of the test VM's disks at the transporter.
	Scratch []string `json:"scratch,omitempty"`
	// VM is the VM as it was last seen; nil before it is built or attached, and
	// after it is returned or removed.
	VM *api.VMRun `json:"vm,omitempty"`
	// Old is the VM at the source, once a run has fenced it or is to; nil before.
	Old *OldVM `json:"oldVM,omitempty"`
	// CheckFailed: the VM runs, but a check failed or could not be made. The
	// operator decides what that means.
	CheckFailed bool `json:"checkFailed,omitempty"`
	// CheckedAt is when the checks were last made.
	CheckedAt time.Time `json:"checkedAt,omitzero"`
	// Verdict is what was said of the test when its cleanup was asked for; nil: nothing.
	Verdict *Verdict `json:"verdict,omitempty"`
	// TestPassed is when the job's last test ended that passed. Runs of the job hand it on.
	TestPassed time.Time `json:"testPassed,omitzero"`
	// Window is the commit window; nil without a policy, and before the run is ready.
	Window *Window `json:"window,omitempty"`

	// Moved of Total is the progress of the current step, in its own unit.
	Moved int64 `json:"moved,omitempty"`
	Total int64 `json:"total,omitempty"`

	StartedAt time.Time `json:"startedAt,omitzero"`
	HaltedAt  time.Time `json:"haltedAt,omitzero"`
	UsableAt  time.Time `json:"usableAt,omitzero"`
	EndedAt   time.Time `json:"endedAt,omitzero"`
	// Trace is the trace of all steps, as a W3C traceparent.
	Trace string `json:"trace,omitempty"`
}

// Current is the step to do now; ok is false when the run is at rest.
func (r Run) Current() (step StepRecord, ok bool) {
	if i := r.at(); i >= 0 && r.busy() {
		return r.Steps[i], true
	}
	return StepRecord{}, false
}

// Over reports whether the run holds nothing any more, so that another may
// begin.
func (r Run) Over() bool {
	switch r.Phase {
	case recovery.Cleaned, recovery.Undone, recovery.Committed:
		return true
	case recovery.Failed:
		return r.at() < 0
	}
	return false
}

// Recovered reports whether the job runs here: it was failed over in production, and
// nobody is taking that back.
func (r Run) Recovered() bool {
	if r.Mode != recovery.Production {
		return false
	}
	rests := r.Phase == recovery.Ready || r.Phase == recovery.Usable && (r.To != recovery.ToVM || !r.CheckedAt.IsZero())
	return r.Goal == recovery.Recover && r.Next == "" && rests || r.Phase == recovery.Committed
}

// Holds reports whether the run is about a job as it is now, and not about an earlier job
// of its name, or an earlier round of it: a job that was reversed twice has its name
// again, with a journal of its own. A nil run is about nothing.
func (r *Run) Holds(j spec.ReplicationJob) bool {
	return r != nil && r.Pinned.Spec.Round() == j.Round() && r.Pinned.Spec.ID == j.ID
}

// ExportID is the id of the run's export. It is a valid name whatever the run's
// own id is.
func (r Run) ExportID() string {
	id := r.ID
	if cdp.CheckName("run", id) != nil {
		id = "r-" + id
	}
	return id[:min(len(id), 40)]
}

// Want is the point to resolve.
func (r Run) Want() api.ResolveRequest {
	want := api.ResolveRequest{Group: cdp.GroupID(r.Job), Point: r.Point, At: r.At}
	switch {
	case r.Drained != nil:
		want.Point, want.At = "seq:"+strconv.FormatUint(uint64(r.Drained.Seq), 10), nil
	case want.Point == "" && want.At == nil && r.Mode == recovery.Production:
		want.Point = cdp.LastWrite
	case want.Point == "" && want.At == nil:
		want.Point = cdp.Latest
	}
	return want
}

func (r Run) busy() bool {
	return r.Phase == recovery.Running || r.Phase == recovery.Usable || r.Phase == recovery.Ending
}

// at is the index of the first step of the goal that is not done; -1 if there is
// none.
func (r Run) at() int {
	for i, st := range r.Steps {
		if st.Goal == r.Goal && st.Status != recovery.Done {
			return i
		}
	}
	return -1
}

// touched reports whether the step may have had its effect, and the step that
// reverses it was not done since.
func (r Run) touched(step, reversal recovery.Step) bool {
	yes := false
	for _, st := range r.Steps {
		switch {
		case st.Step == step && st.Status != recovery.Pending && st.Status != recovery.Skipped:
			yes = true
		case st.Step == reversal && st.Status == recovery.Done:
			yes = false
		}
	}
	return yes
}

func (r Run) done(step recovery.Step) bool {
	for _, st := range r.Steps {
		if st.Step == step && st.Status == recovery.Done {
			return true
		}
	}
	return false
}
