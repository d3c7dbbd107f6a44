package failoverrun

import (
	"fmt"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/spec"
)

// mostNotice is how long before the end people are warned; of a short window it is half.
const mostNotice = 10 * time.Minute

// Window is the commit window of a run that is ready. There is none without a policy.
type Window struct {
	Ends time.Time `json:"ends"`
	// Warned is when people were told. The run does not end less than the notice after
	// that, however long the service was down or the clock was wrong.
	Warned time.Time `json:"warned,omitzero"`
	// Held is what refused the end when it was due; empty while nothing did.
	Held string `json:"held,omitempty"`
}

// CheckPolicy returns an Invalid error that names the field that is wrong.
func CheckPolicy(p recovery.Policy, window spec.Duration) error {
	const op = "check failover"
	switch {
	case p != "" && p != recovery.PolicyNone && p.Goal() == "":
		return cdp.Errorf(cdp.Invalid, op, "commitPolicy", "%q: must be none, commit or undo", p)
	case window != 0 && p.Goal() == "":
		return cdp.Errorf(cdp.Invalid, op, "commitWindow", "needs the commit policy commit or undo: with none the failover waits for a person")
	case window != 0 && (window.Std() < recovery.MinWindow || window.Std() > recovery.MaxWindow):
		return cdp.Errorf(cdp.Invalid, op, "commitWindow", "%s: must be from %s to %s", window, spec.Duration(recovery.MinWindow), spec.Duration(recovery.MaxWindow))
	}
	return nil
}

// CheckPolicyChange says whether the run can be given another policy now.
func (r Run) CheckPolicyChange(p recovery.Policy, window spec.Duration) error {
	const op = "set commit policy"
	if err := CheckPolicy(p, window); err != nil {
		return err
	}
	switch {
	case p == "":
		return cdp.Errorf(cdp.Invalid, op, "commitPolicy", "must be none, commit or undo")
	case r.Mode == recovery.Test:
		return cdp.Errorf(cdp.Conflict, op, r.ID, "the run is a test").WithHint("end a test with: tidemark failover cleanup " + r.Job)
	case r.Goal != recovery.Recover || r.Next != "" || r.Over():
		return cdp.Errorf(cdp.Conflict, op, r.ID, "the run is being ended already: it is %s", r.Phase)
	}
	return nil
}

// length is how long the window is.
func (r Run) length() time.Duration {
	if r.CommitWindow == 0 {
		return recovery.DefaultWindow
	}
	return r.CommitWindow.Std()
}

// notice is how long before the end people are warned.
func (r Run) notice() time.Duration { return min(mostNotice, r.length()/2) }

// openWindow begins the window, if the run has a policy.
func (r *Run) openWindow(now time.Time) {
	r.Window = nil
	if r.Phase == recovery.Ready && r.Mode == recovery.Production && r.CommitPolicy.Goal() != "" {
		r.Window = &Window{Ends: now.Add(r.length())}
	}
}

// windowed reports whether the run waits for the end of its window.
func (r Run) windowed() bool {
	return r.Window != nil && r.Phase == recovery.Ready && r.Goal == recovery.Recover && r.Next == ""
}

// Due is when something about the window is to be done next: the warning, or else the
// end; ok is false if nothing is.
func (r Run) Due() (at time.Time, warn, ok bool) {
	switch {
	case !r.windowed():
		return time.Time{}, false, false
	case r.Window.Warned.IsZero():
		return r.Window.Ends.Add(-r.notice()), true, true
	}
	return r.Window.Ends, false, true
}

// EndAfterWarning is when the run ends if people are warned now.
func (r Run) EndAfterWarning(now time.Time) time.Time {
	end := now.Add(r.notice())
	if end.Before(r.Window.Ends) {
		end = r.Window.Ends
	}
	return end
}

// CheckEnd is Conflict if the run must not end by its policy, although it is due.
func (r Run) CheckEnd() error {
	if r.CommitPolicy == recovery.PolicyCommit && r.CheckFailed {
		return cdp.Errorf(cdp.Conflict, "commit failover", r.Job, "not every check of the VM passed, so a person must decide").
			WithHint("check it again: tidemark failover check " + r.Job + "; " + r.endHint())
	}
	return nil
}

// endHint says how a run that is ready can be ended.
func (r Run) endHint() string {
	if r.Mode == recovery.Test {
		return "when done: tidemark failover cleanup " + r.Job
	}
	return "keep it: tidemark failover commit " + r.Job + "; take it back: tidemark failover undo " + r.Job
}

// pass applies an event about the window. One that is not due changes nothing.
func (r Run) pass(e Event) (Run, []Command) {
	if e.What == PolicySet {
		if r.CheckPolicyChange(e.Policy, e.Window) == nil {
			r.CommitPolicy, r.CommitWindow = e.Policy, e.Window
			r.openWindow(e.Now)
		}
		return r, nil
	}
	at, warn, ok := r.Due()
	if !ok || e.Now.Before(at) || warn != (e.What == WindowWarned) {
		return r, nil
	}
	w := *r.Window
	r.Window = &w
	switch e.What {
	case WindowWarned:
		w.Ends = r.EndAfterWarning(e.Now)
		w.Warned = e.Now
	case WindowHeld:
		w.Held = e.Text
	case WindowEnded:
		r.Next = r.CommitPolicy.Goal()
		return r.turn(e.Now)
	}
	return r, nil
}

// WarningText says in words that the run ends by itself at that time.
func (r Run) WarningText(ends time.Time) string {
	return fmt.Sprintf("the failover %s %s at %s; to wait longer: tidemark failover policy %s none", r.ID, r.policyText(), timeText(ends), r.Job)
}

// policyText says in words what the policy does with a run.
func (r Run) policyText() string {
	if r.CommitPolicy == recovery.PolicyUndo {
		return "is undone by itself, which discards what the machine has written,"
	}
	return "is committed by itself"
}

func timeText(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 MST") }

// WindowText says in words how the run ends by itself; empty if it does not.
func (r Run) WindowText() string {
	if !r.windowed() {
		return ""
	}
	if r.Window.Held != "" {
		return fmt.Sprintf("it %s as soon as that is possible: %s", r.policyText(), r.Window.Held)
	}
	return fmt.Sprintf("it %s at %s; to wait longer: tidemark failover policy %s none", r.policyText(), timeText(r.Window.Ends), r.Job)
}
