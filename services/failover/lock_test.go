package failover_test

import (
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/core/failoverrun"
)

// A commit ends history, so nobody commits while a retention lock holds some; the run
// stays as it is, and can be undone.
func TestNoCommitOverLockedHistory(t *testing.T) {
	w, s, ctx := running(t, time.Millisecond)
	if err := s.Start(ctx, failoverrun.Request{Job: "web", ID: "run", Mode: recovery.Production, To: recovery.ToNBD}); err != nil {
		t.Fatal(err)
	}
	w.in(t, ctx, recovery.Ready)
	w.mu.Lock()
	w.lock = &api.RetentionLock{For: time.Hour, Left: time.Minute}
	w.mu.Unlock()
	if err := send(t, ctx, s, event.FailoverCommit{Job: "web", Force: true}); !cdp.Is(err, cdp.Conflict) {
		t.Fatal(err)
	}
	if run := w.state(); run.Phase != recovery.Ready || run.Goal != recovery.Recover {
		t.Fatalf("%+v", run)
	}
	if err := send(t, ctx, s, event.FailoverUndo{Job: "web"}); err != nil {
		t.Fatal(err)
	}
	w.in(t, ctx, recovery.Undone)
}
