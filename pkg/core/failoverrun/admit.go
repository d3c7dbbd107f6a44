package failoverrun

import "tidemark.dev/pkg/cdp"

// Admit says whether a new run may begin where the record of another stands;
// old is nil where there is none. Duplicate: it is this very run. Two runs over
// one job cannot both proceed if the record is replaced only in the version
// that was looked at.
func Admit(old *State, r Request) error {
	const op = "start failover"
	switch {
	case old == nil:
		return nil
	case old.Run == r.Run:
		return cdp.Errorf(cdp.Duplicate, op, r.Run, "the run was started already")
	case old.Phase == Committed:
		return cdp.Errorf(cdp.Conflict, op, r.Job, "the run %s was committed: the replica is the disk now", old.Run).
			WithHint("replicate it with a new job, from its own disks")
	case !old.Over():
		return cdp.Errorf(cdp.Conflict, op, r.Job, "the run %s is %s", old.Run, old.Phase).
			WithHint("end it first: tidemark failover " + old.way() + " " + r.Job)
	}
	return nil
}

// way is how the run is ended without harm.
func (s State) way() string {
	if s.Mode == "test" {
		return "cleanup"
	}
	return "undo"
}

// CheckAsk says whether cleanup, undo or commit can be asked of the run now.
// Asked again it is no error: it is a Duplicate once it is done.
func (s State) CheckAsk(g Goal) error {
	op := string(g) + " failover"
	test := s.Mode == "test"
	switch {
	case g != Cleanup && g != Undo && g != Commit:
		return cdp.Errorf(cdp.Invalid, op, s.Run, "want cleanup, undo or commit")
	case s.Goal == g && s.Over():
		return cdp.Errorf(cdp.Duplicate, op, s.Run, "it is done already")
	case test && g != Cleanup:
		return cdp.Errorf(cdp.Conflict, op, s.Run, "the run is a test").WithHint("end a test with: tidemark failover cleanup " + s.Job)
	case !test && g == Cleanup:
		return cdp.Errorf(cdp.Conflict, op, s.Run, "the run is a production failover").WithHint("end it with undo or commit")
	case s.Over():
		return cdp.Errorf(cdp.Conflict, op, s.Run, "the run is %s already", s.Phase)
	case g != Commit && (s.Goal == Commit || s.Next == Commit):
		return cdp.Errorf(cdp.Conflict, op, s.Run, "commit has begun: the replica is becoming the disk").
			WithHint("commit goes on by itself, or again with: tidemark failover commit " + s.Job)
	case g == Commit && (s.Goal == Undo || s.Goal == Back || s.Next == Undo):
		return cdp.Errorf(cdp.Conflict, op, s.Run, "the run is on its way back")
	case g == Commit && s.Phase == Running:
		return cdp.Errorf(cdp.Conflict, op, s.Run, "the run is not ready yet").WithHint("wait until it is: tidemark failover status " + s.Job)
	}
	return nil
}
