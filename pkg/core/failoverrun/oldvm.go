package failoverrun

import (
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/spec"
)

// OldVM is the VM at the source of a production failover to a VM, and what it must be.
// Runs of the job hand it on, so that what is owed is not forgotten.
type OldVM struct {
	// Run is the run that Want comes from.
	Run  string         `json:"run"`
	Site cdp.Site       `json:"site"`
	VM   string         `json:"vm"` // instance UUID
	Want recovery.Fence `json:"want"`
	// Turn is larger for each new Want, also after the record was lost: the source
	// refuses a request of an earlier turn.
	Turn  uint64    `json:"turn"`
	Since time.Time `json:"since"` // of Want
	// Done: it has been so since DoneAt, as read back at the source.
	Done   bool      `json:"done,omitempty"`
	DoneAt time.Time `json:"doneAt,omitzero"`
	// Text is what the source answered last.
	Text string `json:"text,omitempty"`
}

// defaultShutdownWait is how long a guest may take to shut down.
const defaultShutdownWait = 5 * time.Minute

// fences reports whether a run powers off the VM at the source. A planned run that
// leaves the power alone still makes sure that the VM is off, and stays off.
func fences(r Request, job Pinned) bool {
	return r.Mode == recovery.Production && r.To == recovery.ToVM && job.Spec.Source.VM != "" && (r.Planned || r.Shutdown != recovery.ShutNone)
}

// owesFence reports whether the run does not have the VM at the source fenced yet, and
// is to. A planned run did that first.
func (r Run) owesFence() bool {
	return !r.Planned && fences(r.Request, r.Pinned) && (r.Old == nil || r.Old.Run != r.ID || r.Old.Want != recovery.Fenced)
}

// want records what the VM at the source must be from now on.
func (r *Run) want(f recovery.Fence, now time.Time) {
	var x OldVM
	if r.Old != nil {
		x = *r.Old
	}
	if f == recovery.Fenced { // the VM of an earlier run may have been another one
		x.Site, x.VM = r.Pinned.Spec.Source.Site, r.Pinned.Spec.Source.VM
	}
	x.Run, x.Want, x.Since = r.ID, f, now
	x.Turn = max(x.Turn+1, uint64(max(now.UnixMilli(), 0)))
	x.Done, x.DoneAt, x.Text = false, time.Time{}, ""
	r.Old = &x
}

// mayRun reports whether the VM at the target may be on: it was to be powered on, and was
// not seen to be off since.
func (r Run) mayRun() bool { return r.touched(recovery.Boot, recovery.Stop) }

// Owed is what is to be done at the source; ok is false if nothing is. The step fence
// of a planned run does its own request. A run that is taken back still owes the fence
// until the VM at the target is off.
func (r Run) Owed() (owed OldVM, ok bool) {
	if r.Old == nil || r.Old.Done {
		return OldVM{}, false
	}
	ok = r.Old.Want != recovery.Fenced || r.mayRun()
	if r.Old.Run != r.ID && r.Mode == recovery.Production && !r.Over() {
		ok = false // the VM is not powered on for an earlier run while this one may need it off
	}
	return *r.Old, ok
}

// FenceRequest asks the source for what the VM there must be.
func (r Run) FenceRequest() api.FenceRequest {
	x := api.FenceRequest{Group: cdp.GroupID(r.Job), VM: r.Old.VM, Run: r.Old.Run, Turn: r.Old.Turn, Want: r.Old.Want, Shutdown: recovery.ShutNow}
	if r.Planned && r.Old.Run == r.ID {
		x.Shutdown, x.Wait = recovery.ShutGraceful, spec.Duration(defaultShutdownWait)
		if r.Shutdown != "" {
			x.Shutdown = r.Shutdown
		}
		if r.ShutdownWait != 0 {
			x.Wait = r.ShutdownWait
		}
	}
	return x
}

// CheckLift says whether the VM at the source can be released now: not while a run
// needs it to be off that may still be undone.
func (r Run) CheckLift() error {
	const op = "release the VM at the source"
	switch {
	case r.Old == nil:
		return cdp.Errorf(cdp.NotFound, op, r.Job, "no failover has fenced it")
	case r.Old.Want != recovery.Fenced:
		return cdp.Errorf(cdp.Duplicate, op, r.Job, "it is %s already", r.Old.Want)
	case !r.Over():
		return cdp.Errorf(cdp.Conflict, op, r.Job, "the failover %s is %s: two VMs could run", r.ID, r.Phase).
			WithHint("take the failover back, which starts the VM at the source again: tidemark failover undo " + r.Job + "; or make it final first: tidemark failover commit " + r.Job)
	}
	return nil
}

// fence applies an event about the VM at the source. An answer to an earlier request
// changes nothing.
func (r Run) fence(e Event) (Run, []Command) {
	if r.Old == nil {
		return r, nil
	}
	old := *r.Old
	switch {
	case e.What == FenceLifted:
		if r.CheckLift() == nil {
			r.want(recovery.Released, e.Now)
		}
		return r, nil
	case e.Turn != old.Turn || old.Done:
		return r, nil
	case e.What == FenceRefused:
		old.Text = e.Text
		r.Old = &old
		return r, nil
	}
	old.Done, old.DoneAt, old.Text = true, e.Now, e.Text
	r.Old = &old
	return r, []Command{{Tell: &StepRecord{Step: recovery.FenceVM, Goal: r.Goal, Status: recovery.Done, Text: e.Text}}}
}

// OldText says in words what became of the VM at the source, or is still owed there;
// empty if no run has to do with it.
func (r Run) OldText() string {
	if r.Old == nil {
		return r.unfencedText()
	}
	if r.Old.Done {
		return r.Old.Text
	}
	todo := map[recovery.Fence]string{
		recovery.Fenced:   "power it off, so that it does not run beside the replica VM",
		recovery.Restored: "let it be powered on again, and start it if the failover powered it off",
		recovery.Released: "let it be powered on again",
	}[r.Old.Want]
	if _, owed := r.Owed(); !owed {
		return "to do at " + string(r.Old.Site) + ": " + todo
	}
	text := "owed at " + string(r.Old.Site) + ": " + todo + "; this is done as soon as the site answers"
	if r.Old.Text != "" {
		text += " (" + r.Old.Text + ")"
	}
	return text
}

// unfencedText is for a production run to a VM that leaves the VM at the source alone.
func (r Run) unfencedText() string {
	if r.Mode == recovery.Production && r.To == recovery.ToVM && r.Shutdown == recovery.ShutNone && !r.UsableAt.IsZero() && (!r.Over() || r.Phase == recovery.Committed) {
		return "it was left alone (--shutdown none): make sure that it does not run beside the replica VM"
	}
	return ""
}
