package failover_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/core/failoverrun"
)

// A check that failed holds the commit policy. Once what was wrong is mended and the VM
// is checked again, the failover goes on; its window does not begin anew.
func TestAFailedCheckIsMadeAgain(t *testing.T) {
	w, _ := hours(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	w.ofVM()
	w.vm.lame = true
	s, _ := w.serve(t)
	r := production(recovery.PolicyCommit)
	r.To = recovery.ToVM
	if err := s.Start(ctx, r); err != nil {
		t.Fatal(err)
	}
	held := w.until(t, ctx, func(r failoverrun.Run) bool { return r.Window != nil && r.Window.Held != "" })
	if !held.CheckFailed || !strings.Contains(held.NextText(), "tidemark failover check web") {
		t.Errorf("%v, next %q", held.CheckFailed, held.NextText())
	}
	again := api.FailoverCheckRequest{Job: "web"}
	if err := s.Recheck(ctx, again); err != nil {
		t.Fatal(err)
	}
	run := w.until(t, ctx, func(r failoverrun.Run) bool { return r.CheckedAt.After(held.CheckedAt) && r.Phase == recovery.Ready })
	if !run.CheckFailed || !run.Window.Ends.Equal(held.Window.Ends) {
		t.Errorf("checked again, it is %v, and its window ends at %s, not %s", run.CheckFailed, run.Window.Ends, held.Window.Ends)
	}
	w.set(func() { w.vm.lame = false })
	if err := s.Recheck(ctx, again); err != nil {
		t.Fatal(err)
	}
	w.in(t, ctx, recovery.Committed)
	for want, r := range map[cdp.Kind]api.FailoverCheckRequest{cdp.NotFound: {Job: "plain"}, cdp.Conflict: again} {
		if err := s.Recheck(ctx, r); !cdp.Is(err, want) {
			t.Errorf("%s: %v, want %s", r.Job, err, want)
		}
	}
}
