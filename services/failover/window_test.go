package failover_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/failoverrun"
	"tidemark.dev/services/failover"
)

// hours is a world in which ten seconds of the service pass in a moment.
func hours(t *testing.T) (*world, *clock.Simulated) {
	w, sim := newWorld(), clock.NewSimulated(time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC))
	w.clock = sim
	ctx, stop := context.WithCancel(t.Context())
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for ctx.Err() == nil {
			sim.Advance(10 * time.Second)
			time.Sleep(100 * time.Microsecond)
		}
	}()
	t.Cleanup(func() { stop(); <-stopped })
	return w, sim
}

// serve runs a service on the world until it is killed.
func (w *world) serve(t *testing.T) (s *failover.Service, kill func()) {
	ctx, cancel := context.WithCancel(t.Context())
	s, ended := w.service(), make(chan struct{})
	go func() { defer close(ended); _ = s.Run(ctx) }()
	kill = func() { cancel(); <-ended }
	t.Cleanup(kill)
	return s, kill
}

func production(p recovery.Policy) failoverrun.Request {
	return failoverrun.Request{Job: "web", ID: "r", Mode: recovery.Production, To: recovery.ToNBD, CommitPolicy: p, CommitWindow: spec.Duration(20 * time.Minute)}
}

// A failover that nobody ends is undone after its window, and a service that was dead
// when the window ended still warns first, and leaves the time that it promised.
func TestAFailoverThatNobodyEndsIsUndoneAfterAWarning(t *testing.T) {
	w, sim := hours(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	s, kill := w.serve(t)
	if err := s.Start(ctx, production(recovery.PolicyUndo)); err != nil {
		t.Fatal(err)
	}
	w.in(t, ctx, recovery.Ready)
	kill()
	if text := w.state().WindowText(); !strings.Contains(text, "is undone by itself") {
		t.Errorf("status: %q", text)
	}
	sim.Advance(10 * time.Hour)
	back := sim.Now()
	w.serve(t)
	w.in(t, ctx, recovery.Undone)
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.warnings) != 1 || w.warnings[0].Policy != recovery.PolicyUndo || w.warnings[0].Ends.Before(back.Add(10*time.Minute)) {
		t.Fatalf("%+v", w.warnings)
	}
	if w.rec.EndedAt.Before(w.warnings[0].Ends) {
		t.Errorf("it ended at %s, and was to end at %s", w.rec.EndedAt, w.warnings[0].Ends)
	}
}

// Whatever would refuse a person also holds the policy, and the status says so. Another
// policy, or a person, comes first.
func TestAPolicyWaitsForWhatIsInTheWay(t *testing.T) {
	w, _ := hours(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	s, _ := w.serve(t)
	w.set(func() { w.clients = []string{"10.0.0.9:4711"} })
	if err := s.Start(ctx, production(recovery.PolicyCommit)); err != nil {
		t.Fatal(err)
	}
	w.until(t, ctx, func(r failoverrun.Run) bool { return r.Window != nil && r.Window.Held != "" })
	if run := w.state(); run.Phase != recovery.Ready || !strings.Contains(run.WindowText(), "10.0.0.9:4711") {
		t.Errorf("%s: %q", run.Phase, run.WindowText())
	}
	if err := s.SetPolicy(ctx, api.FailoverPolicyRequest{Job: "web", Policy: recovery.PolicyUndo, Window: spec.Duration(time.Minute)}); !cdp.Is(err, cdp.Invalid) {
		t.Error(err)
	}
	if err := s.SetPolicy(ctx, api.FailoverPolicyRequest{Job: "web", Policy: recovery.PolicyNone}); err != nil {
		t.Fatal(err)
	}
	if run := w.state(); run.Window != nil || run.WindowText() != "" {
		t.Errorf("%+v", run.Window)
	}
	w.set(func() { w.clients = nil })
	if err := s.SetPolicy(ctx, api.FailoverPolicyRequest{Job: "web", Policy: recovery.PolicyCommit}); err != nil {
		t.Fatal(err)
	}
	w.in(t, ctx, recovery.Committed)
	if err := s.SetPolicy(ctx, api.FailoverPolicyRequest{Job: "web", Policy: recovery.PolicyUndo}); !cdp.Is(err, cdp.Conflict) {
		t.Errorf("after the commit: %v", err)
	}
}
