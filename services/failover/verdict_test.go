package failover_test

import (
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/core/failoverrun"
)

// The verdict of a test is on its point, with who gave it and what the checks found, and
// the job remembers when a test passed. A point that is gone does not keep the test from
// being cleaned up.
func TestTheVerdictOfATestIsKeptOnItsPoint(t *testing.T) {
	w, s, ctx := running(t, time.Millisecond)
	w.ofVM()
	test := func(id string, point cdp.FrameNo, end event.FailoverCleanup) failoverrun.Run {
		t.Helper()
		w.set(func() { w.point = &cdp.Point{Frame: point} })
		if err := s.Start(ctx, failoverrun.Request{Job: "web", ID: id, Mode: recovery.Test, To: recovery.ToVM}); err != nil {
			t.Fatal(err)
		}
		w.until(t, ctx, func(r failoverrun.Run) bool { return r.ID == id && r.Phase == recovery.Ready })
		if err := send(t, ctx, s, end); err != nil {
			t.Fatal(err)
		}
		return w.until(t, ctx, func(r failoverrun.Run) bool { return r.ID == id && r.Phase == recovery.Cleaned })
	}
	run := test("t1", 9, event.FailoverCleanup{Job: "web", Verdict: cdp.Passed, Note: "it takes orders"})
	w.set(func() {
		if w.tested == nil || w.tested.Verdict != cdp.Passed || w.tested.Note != "it takes orders" || w.tested.By != "/dr/cli" || w.tested.Run != "t1" || len(w.tested.Evidence) == 0 {
			t.Errorf("the point says %+v", w.tested)
		}
	})
	if run.TestPassed.IsZero() || !strings.Contains(run.VerdictText(), "passed, by /dr/cli: it takes orders") {
		t.Errorf("%s, %q", run.TestPassed, run.VerdictText())
	}
	next := test("t2", 8, event.FailoverCleanup{Job: "web", Verdict: cdp.Failed})
	if last := next.Steps[len(next.Steps)-1]; last.Step != recovery.Attest || !strings.Contains(last.Text, "the point is gone") || !next.TestPassed.Equal(run.TestPassed) {
		t.Errorf("%+v, passed %s", last, next.TestPassed)
	}
	if err := send(t, ctx, s, event.FailoverCleanup{Job: "web", Verdict: "perhaps"}); !cdp.Is(err, cdp.Invalid) {
		t.Error(err)
	}
}
