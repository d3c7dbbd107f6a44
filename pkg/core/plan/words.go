package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"tidemark.dev/pkg/contract/recovery"
)

// Took is how long the run has taken until now, or did take.
func (r Run) Took(now time.Time) time.Duration {
	if !r.EndedAt.IsZero() {
		now = r.EndedAt
	}
	return max(0, now.Sub(r.StartedAt))
}

// Summary says in words how many actions came to what, and which failed.
func (r Run) Summary() string {
	count := map[Status]int{}
	var parts, failed, left []string
	for _, rec := range r.Actions {
		count[rec.Status]++
		if rec.Status == GaveUp {
			failed = append(failed, rec.Name+" ("+rec.Text+")")
		}
		if rec.Clean != nil && rec.Clean.Status == GaveUp {
			left = append(left, rec.Name+" ("+rec.Clean.Text+")")
		}
	}
	for _, st := range []Status{Done, GaveUp, Skipped, Abandoned, Pending} {
		if n := count[st]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, st))
		}
	}
	text := "actions: " + strings.Join(parts, ", ")
	if len(failed) > 0 {
		text += "; failed: " + strings.Join(failed, ", ")
	}
	if len(left) > 0 {
		text += "; not cleaned up: " + strings.Join(left, ", ")
	}
	return text
}

// NextText says what the operator can do with the run; empty when there is nothing
// to do.
func (r Run) NextText() string {
	for i, rec := range r.Actions {
		name := r.Plan + " " + rec.Name
		switch {
		case rec.Status == Started && r.Spec.Actions[i].Ask != nil && !r.Over():
			return "answer: tidemark plan approve " + name + ", or add --refuse"
		case r.Phase == Failed && r.Mode == recovery.Test && rec.Clean != nil && rec.Clean.Status == GaveUp:
			return "clean up: tidemark plan retry " + name
		case r.Phase == Failed && r.Mode == recovery.Production && rec.Status == GaveUp && r.Spec.Actions[i].Critical:
			return "go on: tidemark plan retry " + name + ", or tidemark plan skip " + name
		case r.Phase == Paused && r.PausedWith != "":
			return "it goes on with the plan that paused it: tidemark plan resume " + r.PausedWith
		case r.Phase == Paused:
			return "go on: tidemark plan resume " + r.Plan
		}
	}
	return ""
}

// Left reports whether something of a test could not be cleaned up.
func (r Run) Left() bool {
	return slices.ContainsFunc(r.Actions, func(rec Record) bool { return rec.Clean != nil && rec.Clean.Status == GaveUp })
}
