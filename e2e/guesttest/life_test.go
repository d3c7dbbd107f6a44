package guesttest

import (
	"testing"
)

// The first of the proofs.
func TestInlineRollback(t *testing.T) {
	l := live(t, Variant{Journal: "rollback"}, false)
	l.s.Kill()
	l.arrived()
	l.points(true)
}
