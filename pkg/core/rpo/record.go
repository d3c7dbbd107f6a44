package rpo

import (
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
