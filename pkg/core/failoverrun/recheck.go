package failoverrun

import (
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/recovery"
)

// CheckRecheck says whether the run's VM can be checked again now; Duplicate: it is being
// checked.
func (r Run) CheckRecheck() error {
	const op = "check the VM"
	switch {
	case r.To != recovery.ToVM:
		return cdp.Errorf(cdp.Conflict, op, r.ID, "the run has no VM: it is a failover to %s", r.To)
	case r.Goal == recovery.Recover && r.Next == "" && r.Phase == recovery.Usable:
		return cdp.Errorf(cdp.Duplicate, op, r.ID, "it is being checked already")
	case r.Goal != recovery.Recover || r.Next != "" || r.Phase != recovery.Ready:
		return cdp.Errorf(cdp.Conflict, op, r.ID, "the run is %s: only the VM of a run that is ready can be checked again", r.Phase)
	}
	return nil
}

// recheck makes the checks of the VM once more. What they found before holds until then.
func (r Run) recheck(now time.Time) (Run, []Command) {
	if r.CheckRecheck() != nil {
		return r, nil
	}
	for i, st := range r.Steps {
		if st.Goal == recovery.Recover && st.Step == recovery.Check {
			r.Steps[i] = StepRecord{Step: st.Step, Goal: st.Goal, Status: recovery.Pending}
		}
	}
	return r.next(now)
}

// checked records what the checks have found, or that they could not be made.
func (r *Run) checked(e Event) {
	r.CheckFailed, r.CheckedAt = e.Err != nil, e.Now
	if e.Err != nil && r.VM != nil { // what was found earlier holds no longer
		vm := *r.VM
		vm.Checks = nil
		r.VM = &vm
	}
	for _, c := range e.Result.checks() {
		r.CheckFailed = r.CheckFailed || !c.OK
	}
}
