package failoverrun

import (
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/recovery"
)

// Admit says whether a new run may begin where old is on record; old is nil where
// there is none. Duplicate: it is the same run. Two runs of one job cannot both
// begin as long as the record is replaced only at the revision that was read.
func Admit(old *Run, r Request) error {
	const op = "start failover"
	switch {
	case old == nil:
		return nil
	case old.ID == r.ID:
		return cdp.Errorf(cdp.Duplicate, op, r.ID, "the run has been started already")
	case old.Phase == recovery.Committed:
		return cdp.Errorf(cdp.Conflict, op, r.Job, "run %s was committed: the replica is the disk now", old.ID).
			WithHint("protect the disks that run now: tidemark reprotect " + r.Job)
	case !old.Over():
		return cdp.Errorf(cdp.Conflict, op, r.Job, "run %s is %s", old.ID, old.Phase).
			WithHint("end it first: tidemark failover " + string(old.safeEnd()) + " " + r.Job)
	}
	return nil
}

// Displaces reports whether r may begin although old is not over, once old has been
// cleaned up: a disaster does not wait for a test.
func Displaces(old *Run, r Request) bool {
	return old != nil && old.ID != r.ID && old.Mode == recovery.Test && r.Mode == recovery.Production && !old.Over()
}

// safeEnd is the goal that ends the run and changes nothing.
func (r Run) safeEnd() recovery.Goal {
	if r.Mode == recovery.Test {
		return recovery.Cleanup
	}
	return recovery.Undo
}

// CheckAsk says whether cleanup, undo or commit can be requested now. To request
// the current goal again is no error while it is in progress, and Duplicate
// after that.
func (r Run) CheckAsk(g recovery.Goal) error {
	op := string(g) + " failover"
	test := r.Mode == recovery.Test
	switch {
	case g != recovery.Cleanup && g != recovery.Undo && g != recovery.Commit:
		return cdp.Errorf(cdp.Invalid, op, r.ID, "want cleanup, undo or commit")
	case r.Goal == g && r.Over():
		return cdp.Errorf(cdp.Duplicate, op, r.ID, "it is done already")
	case test && g != recovery.Cleanup:
		return cdp.Errorf(cdp.Conflict, op, r.ID, "the run is a test").WithHint("end a test with: tidemark failover cleanup " + r.Job)
	case !test && g == recovery.Cleanup:
		return cdp.Errorf(cdp.Conflict, op, r.ID, "the run is a production failover").WithHint("end it with undo or commit")
	case r.Over():
		return cdp.Errorf(cdp.Conflict, op, r.ID, "the run is %s already", r.Phase)
	case g != recovery.Commit && (r.Goal == recovery.Commit || r.Next == recovery.Commit):
		return cdp.Errorf(cdp.Conflict, op, r.ID, "commit has begun: the replica is becoming the disk").
			WithHint("commit continues by itself; if it failed, run it again: tidemark failover commit " + r.Job)
	case g == recovery.Commit && (r.Goal == recovery.Undo || r.Goal == recovery.Back || r.Next == recovery.Undo):
		return cdp.Errorf(cdp.Conflict, op, r.ID, "the run is being undone")
	case g == recovery.Commit && r.Phase == recovery.Running:
		return cdp.Errorf(cdp.Conflict, op, r.ID, "the run is not ready yet").WithHint("wait until it is: tidemark failover status " + r.Job)
	}
	return nil
}
