package plan

import (
	"fmt"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/recovery"
)

// Verdict is what a test run shows of the point that one of its failovers went to. The
// failover speaks, and so do the critical checks, scripts and questions that waited for
// it. Failed: one of these failed. Passed: all were done. Empty: the run says nothing,
// because it ended before all had their turn. until is the action that ends the test
// failover; empty: the clean-up does, and all count.
func (r Run) Verdict(failover, until string) (v cdp.Verdict, note string) {
	if r.Mode != recovery.Test {
		return "", ""
	}
	before := ancestors(r.Spec)
	v = cdp.Passed
	done := 0
	for i, rec := range r.Actions {
		a := r.Spec.Actions[i]
		speaks := rec.Name == failover || a.Critical && (a.Check != nil || a.Script != nil || a.Guest != nil || a.Ask != nil) && before[rec.Name][failover]
		if !speaks || !a.Mode.In(r.Mode) || until != "" && !before[until][rec.Name] {
			continue
		}
		switch rec.Status {
		case GaveUp:
			return cdp.Failed, clipNote(fmt.Sprintf("run %s: %s: %s", r.ID, rec.Name, rec.Text))
		case Done:
			done++
		default:
			v = ""
		}
	}
	if v == "" {
		return "", ""
	}
	return v, fmt.Sprintf("run %s: %d actions done", r.ID, done)
}

// FailoverBefore is the action that failed over what an action ends; empty: none did.
func (r Run) FailoverBefore(action string) (name string) {
	before := ancestors(r.Spec)[action]
	for _, a := range r.Spec.Actions {
		if a.Failover != nil && before[a.Name] && a.Job() == r.Action(action).Job() {
			name = a.Name
		}
	}
	return name
}

// clipNote shortens a text to what a note may have.
func clipNote(text string) string {
	r := []rune(text)
	return string(r[:min(len(r), cdp.MaxNote)])
}
