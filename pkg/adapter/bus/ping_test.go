package bus_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/adapter/bus/bustest"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/subjects"
)

// A service and the operator can ping it; another service cannot.
func TestAServiceIsPingedByItselfAndTheOperator(t *testing.T) {
	s := bustest.Start(t, bustest.Secured)
	own := s.Connect("dr", subjects.RPOMonitor)
	if err := own.Ping(t.Context(), subjects.RPOMonitor); !cdp.Is(err, cdp.Transient) {
		t.Fatalf("nobody serves: %v", err)
	}
	go func() { _ = own.Serve(t.Context(), subjects.RPOMonitor, nil) }()
	for _, who := range []string{subjects.RPOMonitor, subjects.Operator} {
		c := s.Connect("dr", who)
		for err := error(nil); ; {
			if err = c.Ping(t.Context(), subjects.RPOMonitor); err == nil {
				break
			}
			if t.Context().Err() != nil || !cdp.Is(err, cdp.Transient) {
				t.Fatalf("%s: %v", who, err)
			}
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := s.Connect("dr", subjects.Capture).Ping(ctx, subjects.RPOMonitor); err == nil {
		t.Fatal("capture got an answer")
	}
}

// The operator learns what each instance of a service says of itself.
func TestInstancesSayWhatTheirMachineIsConfiguredWith(t *testing.T) {
	s := bustest.Start(t, bustest.Secured)
	for _, names := range []string{"ana, ben", ""} {
		c, err := bus.Connect(t.Context(), bus.Config{Site: "dr", Name: subjects.Journal, Server: s.DR, Credential: s.Credential("dr", subjects.Journal), Says: map[string]string{"approvers": names}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		background(t, func(ctx context.Context) error { return c.Serve(ctx, subjects.Journal, nil) })
	}
	operator := s.Connect("dr", subjects.Operator)
	bustest.Eventually(t, "both answer", func() bool {
		says, err := operator.Say(t.Context(), subjects.Journal, "approvers")
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(says)
		return slices.Equal(says, []string{"", "ana, ben"})
	})
}
