package failoverrun

import (
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
)

// Request is what an operator asked for.
type Request struct {
	Job string `json:"job"`
	// Run names the run; whoever asks chooses it, so that asking twice is one.
	Run  string             `json:"run"`
	Mode event.FailoverMode `json:"mode"`
	To   string             `json:"to"` // event.ToNBD, event.ToFiles or event.ToVM
	// Point (p123, latest, seq:456, a tag) or At; with neither the newest point.
	Point  string     `json:"point,omitempty"`
	At     *time.Time `json:"at,omitempty"`
	Listen string     `json:"listen,omitempty"`
	// Planned: the source answers, and its last writes are waited for.
	Planned bool `json:"planned,omitempty"`
}

// Check returns an Invalid error naming the field that is wrong.
func (r Request) Check() error {
	const op = "check failover"
	if err := cdp.CheckName("job", r.Job); err != nil {
		return err
	}
	switch {
	case r.Run == "" || len(r.Run) > 40:
		return cdp.Errorf(cdp.Invalid, op, "run", "%q: must have 1 to 40 characters", r.Run)
	case r.Mode != event.TestFailover && r.Mode != event.ProductionFailover:
		return cdp.Errorf(cdp.Invalid, op, "mode", "%q: must be test or production", r.Mode)
	case r.To != event.ToNBD && r.To != event.ToFiles && r.To != event.ToVM:
		return cdp.Errorf(cdp.Invalid, op, "to", "%q: must be nbd, files or vm", r.To)
	case r.Mode == event.TestFailover && r.To == event.ToFiles:
		return cdp.Errorf(cdp.Invalid, op, "to", "a test hands the disks out over nbd, or as a VM: the files are the replica itself")
	case r.Listen != "" && r.To == event.ToVM:
		return cdp.Errorf(cdp.Invalid, op, "listen", "nothing is served over nbd when a VM has the disks")
	case r.Point != "" && r.At != nil:
		return cdp.Errorf(cdp.Invalid, op, "at", "not together with point")
	case r.Planned && r.Mode == event.TestFailover:
		return cdp.Errorf(cdp.Invalid, op, "planned", "goes with a production failover only")
	case r.Planned && (r.Point != "" || r.At != nil):
		return cdp.Errorf(cdp.Invalid, op, "planned", "goes to the last write, so not together with point or at")
	}
	return nil
}

// Room is a step of a plan.
type Room string

const (
	Drain   Room = "drain"   // the source seals its last frame
	Arrive  Room = "arrive"  // the journal has that frame
	Halt    Room = "halt"    // the journal takes no more writes
	Resolve Room = "resolve" // what was asked for becomes a seq, once
	Open    Room = "open"    // the disks are served, writable, over a scratch
	Move    Room = "move"    // the replica is brought to the seq
	Absorb  Room = "absorb"  // the scratch is written into the replica
	Close   Room = "close"   // the disks are served no more, the scratch is gone
	Seal    Room = "seal"    // the replica is the disk from now on
	Resume  Room = "resume"  // the journal takes writes again, and its images, if it had let them go

	// Of a failover to a VM.

	Release Room = "release" // the journal lets the replica's images go
	Build   Room = "build"   // a VM of the test's own, with empty disks at the transporter
	Fill    Room = "fill"    // those disks hold the point
	Attach  Room = "attach"  // the disks go from the transporter to the VM
	Boot    Room = "boot"    // the VM's networks are set, and it is powered on
	Check   Room = "check"   // it is looked at: tools, ping, ports, a script
	Stop    Room = "stop"    // it is powered off
	Return  Room = "return"  // the disks are back at the transporter, without what the VM wrote
	Keep    Room = "keep"    // what the VM wrote stays; the replica VM is the VM from now on
	Remove  Room = "remove"  // the test's VM and its disks are gone
)

// Status is how a step stands.
type Status string

const (
	Pending Status = "pending"
	// Started: its request may have had its effect, or not.
	Started    Status = "started"
	Done       Status = "done"
	StepFailed Status = "failed"
	// Skipped: the run took another way before it began.
	Skipped Status = "skipped"
)

// Stage is one step of a run with its story.
type Stage struct {
	Room   Room   `json:"room"`
	Goal   Goal   `json:"goal"`
	Status Status `json:"status"`
	Text   string `json:"text,omitempty"`
}

// Goal is where a run is on its way to.
type Goal string

const (
	Recover Goal = "recover"
	Cleanup Goal = "cleanup"
	Undo    Goal = "undo"
	Commit  Goal = "commit"
	// Back is the way back after a failure.
	Back Goal = "back"
)

// Phase is what a run means to its operator.
type Phase string

const (
	Running   Phase = "running"
	Usable    Phase = "usable" // the disks can be used: the replica follows, or the VM runs and is checked
	Ready     Phase = "ready"  // waits for cleanup, undo or commit
	Ending    Phase = "ending"
	Failed    Phase = "failed"
	Cleaned   Phase = "cleaned"
	Undone    Phase = "undone"
	Committed Phase = "committed"
)

// State is a run. It is all that is kept of it, and enough to go on.
// Invariant: the stages of Goal are the last ones; of them those that are Done
// come first, then at most one that is Started or failed, then Pending ones.
// Stages of earlier goals are never Pending; one that is Started there may have
// had its effect, or not.
type State struct {
	Request
	Phase  Phase   `json:"phase"`
	Goal   Goal    `json:"goal"`
	Next   Goal    `json:"next,omitempty"` // asked for while a step was under way
	Stages []Stage `json:"stages"`
	// Error is why the run failed, Kind what that means.
	Error string   `json:"error,omitempty"`
	Kind  cdp.Kind `json:"kind,omitempty"`
	Hint  string   `json:"hint,omitempty"`

	Drained  *api.DrainReply `json:"drained,omitempty"`
	Bounds   *cdp.Bounds     `json:"bounds,omitempty"`   // when halted
	Captured *cdp.Seq        `json:"captured,omitempty"` // newest write the source knew then, if it answered
	// Snapshots: the source's writes are not seen, its disks are read from one
	// snapshot after the other.
	Snapshots bool          `json:"snapshots,omitempty"`
	Resolved  *api.Resolved `json:"resolved,omitempty"` // written once
	Export    *api.Export   `json:"export,omitempty"`
	Paths     []string      `json:"paths,omitempty"`
	// Scratch is where the disks of the test's VM are filled.
	Scratch []string `json:"scratch,omitempty"`
	// VM is the VM as it was seen last, until it is given back.
	VM *api.VMRun `json:"vm,omitempty"`
	// CheckFailed: the VM runs, but a check found something, or could not be
	// made. What that means is the operator's to say.
	CheckFailed bool `json:"checkFailed,omitempty"`

	Moved int64 `json:"moved,omitempty"` // of Total, of the move under way
	Total int64 `json:"total,omitempty"`

	StartedAt time.Time `json:"startedAt"`
	HaltedAt  time.Time `json:"haltedAt,omitzero"`
	UsableAt  time.Time `json:"usableAt,omitzero"`
	EndedAt   time.Time `json:"endedAt,omitzero"`
	// Trace is the trace all steps belong to, in W3C notation.
	Trace string `json:"trace,omitempty"`
}

// Current is the step to be done now; ok is false at rest.
func (s State) Current() (Stage, bool) {
	if i := s.at(); i >= 0 && s.busy() {
		return s.Stages[i], true
	}
	return Stage{}, false
}

// Over reports whether the run holds nothing any more, so that another may
// begin.
func (s State) Over() bool {
	switch s.Phase {
	case Cleaned, Undone, Committed:
		return true
	case Failed:
		return s.at() < 0
	}
	return false
}

// ExportID is the id of the run's export: a name whatever the run is called.
func (s State) ExportID() string {
	id := s.Run
	if cdp.CheckName("run", id) != nil {
		id = "r-" + id
	}
	return id[:min(len(id), 40)]
}

// Want is the point to resolve.
func (s State) Want() api.ResolveRequest {
	r := api.ResolveRequest{Group: cdp.GroupID(s.Job), Point: s.Point, At: s.At}
	switch {
	case s.Drained != nil:
		r.Point, r.At = "seq:"+utoa(s.Drained.Seq), nil
	case r.Point == "" && r.At == nil:
		r.Point = "latest"
	}
	return r
}

func (s State) busy() bool { return s.Phase == Running || s.Phase == Usable || s.Phase == Ending }

// at is the index of the first stage of the goal that is not done; -1 if there
// is none.
func (s State) at() int {
	for i, st := range s.Stages {
		if st.Goal == s.Goal && st.Status != Done {
			return i
		}
	}
	return -1
}

// touched reports whether the step may have had its effect, and none that
// reverses it was done since.
func (s State) touched(r, reversal Room) bool {
	yes := false
	for _, st := range s.Stages {
		switch {
		case st.Room == r && st.Status != Pending && st.Status != Skipped:
			yes = true
		case st.Room == reversal && st.Status == Done:
			yes = false
		}
	}
	return yes
}

func (s State) done(r Room) bool {
	for _, st := range s.Stages {
		if st.Room == r && st.Status == Done {
			return true
		}
	}
	return false
}
