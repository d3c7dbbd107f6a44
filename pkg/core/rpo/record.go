package rpo

import (
	"slices"
	"time"

	"tidemark.dev/pkg/cdp"
)

// Record is what is stored of a job's RPO, for status and across restarts.
type Record struct {
	State
	Objective time.Duration `json:"objectiveNanos"`
	FailAt    time.Duration `json:"failAtNanos,omitempty"` // 0: never
	// Point is the newest durable recovery point known.
	Point *cdp.Point `json:"point,omitempty"`
	// Journal is when the journal last answered; zero if it never did.
	Journal     time.Time     `json:"journal,omitzero"`
	ClockOffset time.Duration `json:"clockOffsetNanos"` // target minus source clock
	ClockBound  time.Duration `json:"clockBoundNanos"`  // its greatest error; 0: not measured
}

// Round is one measurement of all jobs of a site. A record is stored when a round
// finds more than that time has passed, so most rounds leave no other trace.
type Round struct {
	At time.Time `json:"at"`
	// Journal is when the journal last answered; zero if it never did.
	Journal time.Time `json:"journal,omitzero"`
	// Missing are the jobs whose records could not be stored.
	Missing []string `json:"missing,omitempty"`
}

const (
	// same is how far the numbers of a later measurement may be from what the stored
	// one foretold.
	same = 100 * time.Millisecond
	// renewed is how often a record is stored although nothing changed.
	renewed = time.Minute
)

// In is the record of a job as a later round left it: the point is the same, and
// its age has grown.
func (r Record) In(job string, round Round) Record {
	later := round.At.Sub(r.At)
	if later <= 0 || slices.Contains(round.Missing, job) {
		return r
	}
	r.At = round.At
	if r.Status != NoData {
		r.Value += later
	}
	if round.Journal.After(r.Journal) {
		r.Journal = round.Journal
	}
	return r
}

// Foretold reports whether a stored record says what r says, but for the time that
// has passed.
func (r Record) Foretold(stored Record) bool {
	later := r.At.Sub(stored.At)
	if later < 0 || later >= renewed || r.Status != stored.Status || !r.Since.Equal(stored.Since) || !r.Good.Equal(stored.Good) {
		return false
	}
	if r.Objective != stored.Objective || r.FailAt != stored.FailAt || (r.ClockBound == 0) != (stored.ClockBound == 0) {
		return false
	}
	if (r.Point == nil) != (stored.Point == nil) || r.Point != nil && r.Point.Frame != stored.Point.Frame {
		return false
	}
	value := stored.Value
	if r.Status != NoData {
		value += later
	}
	return (r.Value-value).Abs() <= same && (r.Bound-stored.Bound).Abs() <= same && (r.ClockOffset-stored.ClockOffset).Abs() <= same
}
