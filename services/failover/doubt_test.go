package failover_test

import (
	"context"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/core/failoverrun"
	"tidemark.dev/services/failover"
)

// A request whose write was made, but whose caller was told that there was no answer, is
// carried out, although nobody asks again.
func TestARequestIsCarriedOutWhenTheAnswerToItsWriteWasLost(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	w := newWorld()
	w.ofVM()
	w.vm.lame = true
	s, _ := w.serve(t)
	lost := func(what string, ask func(*failover.Service) error) {
		t.Helper()
		w.set(func() { w.lose = true })
		if err := ask(s); !cdp.Is(err, cdp.Transient) {
			t.Fatalf("%s: %v", what, err)
		}
	}
	r := production(recovery.PolicyNone)
	r.To, r.CommitWindow = recovery.ToVM, 0
	lost("start", func(s *failover.Service) error { return s.Start(ctx, r) })
	checked := w.until(t, ctx, func(r failoverrun.Run) bool { return r.Phase == recovery.Ready && r.CheckFailed }).CheckedAt
	w.set(func() { w.vm.lame = false })
	lost("check", func(s *failover.Service) error { return s.Recheck(ctx, api.FailoverCheckRequest{Job: "web"}) })
	w.until(t, ctx, func(r failoverrun.Run) bool {
		return r.Phase == recovery.Ready && !r.CheckFailed && r.CheckedAt.After(checked)
	})
	lost("undo", func(s *failover.Service) error { return s.Ask(ctx, "web", "", recovery.Undo) })
	w.in(t, ctx, recovery.Undone)
}
