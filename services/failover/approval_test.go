package failover_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/core/failoverrun"
)

// Where two persons have to agree to a commit, a command without them is refused, and a
// commit policy is held until they do.
func TestACommitPolicyWaitsForTwoPersons(t *testing.T) {
	w, _ := hours(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	s, _ := w.serve(t)
	w.set(func() { w.disagreed = cdp.Errorf(cdp.Conflict, "approve", "web", "ana has") })
	if err := s.Start(ctx, production(recovery.PolicyCommit)); err != nil {
		t.Fatal(err)
	}
	w.until(t, ctx, func(r failoverrun.Run) bool { return r.Window != nil && r.Window.Held != "" })
	if run := w.state(); run.Phase != recovery.Ready || !strings.Contains(run.WindowText(), "ana has") {
		t.Errorf("%s: %q", run.Phase, run.WindowText())
	}
	if err := send(t, ctx, s, event.FailoverCommit{Job: "web", Force: true}); !cdp.Is(err, cdp.Conflict) {
		t.Errorf("a command: %v", err)
	}
	w.set(func() { w.disagreed = nil })
	w.in(t, ctx, recovery.Committed)
}
