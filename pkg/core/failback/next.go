package failback

import (
	"strings"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/failoverrun"
)

// RunPrefix is what the names of failovers begin with that a failback starts.
const RunPrefix = "failback-"

// Seen is what is seen of a pair of jobs that reverse each other.
type Seen struct {
	// Job is the one in force, and Run its last failover; nil: it never had one.
	Job spec.ReplicationJob
	Run *failoverrun.Run
	// Protected: every write of the machine is at the job's target.
	Protected bool
}

// Moved reports whether the machine moved to the job's target for good.
func (s Seen) Moved() bool { return s.production() && s.Run.Phase == recovery.Committed }

// Stayed reports whether the machine never left the site where it was first protected:
// there is nothing to reverse, and nothing to bring home.
func (s Seen) Stayed() bool { return s.Job.Round() == 0 && !s.production() }

// production reports whether a production failover of the job is under way or committed.
func (s Seen) production() bool {
	return s.Run.Holds(s.Job) && s.Run.Mode == recovery.Production && (!s.Run.Over() || s.Run.Phase == recovery.Committed)
}

// Reversed reports whether the job leads back from a failover, and the machine runs at its
// source: there is nothing to reverse.
func (s Seen) Reversed() bool { return s.Job.Reverses != nil && !s.production() }

// Step is the next thing to do of a failback.
type Step string

const (
	Reprotect Step = "reprotect" // reverse the job
	Protect   Step = "protect"   // wait until it is protected
	Failover  Step = "failover"  // start a planned failover home
	Follow    Step = "follow"    // wait until that is ready, or over
	Commit    Step = "commit"    // make it final
	Home      Step = "home"      // nothing: it is home, and protected
)

// Next is the next step of a failback. Conflict: there is nothing to bring home, or a
// failover is in the way that somebody else began.
func Next(s Seen) (Step, error) {
	const op = "failback"
	away := s.Job.Round()%2 == 1
	run := s.Run
	if !s.production() {
		run = nil // or a test, which a failover ends
	}
	at := " --site " + string(s.Job.Target.Site)
	switch {
	case run != nil && run.Phase == recovery.Committed:
		return Reprotect, nil
	case run != nil && (!away || !strings.HasPrefix(run.ID, RunPrefix)):
		return "", cdp.Errorf(cdp.Conflict, op, s.Job.Name, "its failover %s is %s", run.ID, run.Phase).
			WithHint("end it first: tidemark failover commit " + s.Job.Name + at + ", or tidemark failover undo " + s.Job.Name + at)
	case run != nil && run.Phase == recovery.Failed:
		return "", cdp.Errorf(cdp.Conflict, op, s.Job.Name, "the failover home has failed: %s", run.Error).
			WithHint("take it back: tidemark failover undo " + s.Job.Name + at)
	case run != nil && run.Phase == recovery.Ready:
		return Commit, nil
	case run != nil:
		return Follow, nil
	case s.Stayed():
		return "", cdp.Errorf(cdp.Conflict, op, s.Job.Name, "it was not failed over: the machine runs at %s", s.Job.Source.Site)
	case !s.Protected:
		return Protect, nil
	case !away:
		return Home, nil
	}
	return Failover, nil
}
