package failover_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/core/failoverrun"
	"tidemark.dev/services/failover"
)

// Nothing ends or begins while somebody uses what it would take away: the command is
// refused, says who is connected, and changes nothing. Forced, it goes on.
func TestWhatIsInUseIsNotTakenAwayUnasked(t *testing.T) {
	production := failoverrun.Request{Job: "web", ID: "run", Mode: recovery.Production, To: recovery.ToNBD}
	test := failoverrun.Request{Job: "web", ID: "run", Mode: recovery.Test, To: recovery.ToNBD}
	planned := production
	planned.Planned = true
	begin := func(s failoverrun.Request, force bool) event.Payload {
		return event.FailoverStart{Job: s.Job, Run: s.ID, Mode: s.Mode, To: s.To, Force: force}
	}
	for name, c := range map[string]struct {
		begun failoverrun.Request // zero: none
		asked func(force bool) event.Payload
		want  recovery.Phase
	}{
		"undo":       {production, func(f bool) event.Payload { return event.FailoverUndo{Job: "web", Force: f} }, recovery.Undone},
		"cleanup":    {test, func(f bool) event.Payload { return event.FailoverCleanup{Job: "web", Force: f} }, recovery.Cleaned},
		"commit":     {production, func(f bool) event.Payload { return event.FailoverCommit{Job: "web", Force: f} }, recovery.Committed},
		"production": {failoverrun.Request{}, func(f bool) event.Payload { return begin(production, f) }, recovery.Ready},
	} {
		t.Run(name, func(t *testing.T) {
			w, s, ctx := running(t, time.Millisecond)
			if c.begun.ID != "" {
				if err := s.Start(ctx, c.begun); err != nil {
					t.Fatal(err)
				}
				w.in(t, ctx, recovery.Ready)
			} else {
				w.use(nil, nil, api.Export{ID: "x-1", Clients: []string{"process 7 (qemu-nbd)"}})
			}
			w.use([]string{"process 7 (qemu-nbd)"}, nil, w.exports...)
			before := w.state()
			err := send(t, ctx, s, c.asked(false))
			if !cdp.Is(err, cdp.Conflict) || !strings.Contains(err.Error(), "process 7 (qemu-nbd)") || !strings.Contains(cdp.HintOf(err), "--force") {
				t.Fatalf("not refused as it should be: %v (%s)", err, cdp.HintOf(err))
			}
			if after := w.state(); after.Phase != before.Phase || after.Goal != before.Goal {
				t.Fatalf("refused, and yet %+v became %+v", before, after)
			}
			if err := send(t, ctx, s, c.asked(true)); err != nil {
				t.Fatal("forced:", err)
			}
			w.in(t, ctx, c.want)
		})
	}
	t.Run("planned, and the source is written", func(t *testing.T) {
		w, s, ctx := running(t, time.Millisecond)
		w.use(nil, []string{"process 8 (qemu-system-x86)"})
		if err := s.Start(ctx, planned); !cdp.Is(err, cdp.Conflict) || !strings.Contains(err.Error(), "source's disks: process 8") {
			t.Fatal("not refused:", err)
		}
		if err := s.Start(ctx, production); err != nil {
			t.Fatal("an emergency failover does not care:", err)
		}
		w.in(t, ctx, recovery.Ready)
	})
	t.Run("a client that goes in time", func(t *testing.T) {
		w, s, ctx := running(t, time.Hour)
		if err := s.Start(ctx, test); err != nil {
			t.Fatal(err)
		}
		w.in(t, ctx, recovery.Ready)
		w.use([]string{"process 7 (nbdinfo)"}, nil)
		w.mu.Lock()
		w.leaves = 2 // questions later
		w.mu.Unlock()
		if err := send(t, ctx, s, event.FailoverCleanup{Job: "web"}); err != nil {
			t.Fatal(err)
		}
		w.in(t, ctx, recovery.Cleaned)
	})
}

// use sets who is connected.
func (w *world) use(clients, guests []string, exports ...api.Export) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.clients, w.guests, w.exports = clients, guests, exports
}

// running is a service that runs until the test ends.
func running(t *testing.T, grace time.Duration) (*world, *failover.Service, context.Context) {
	w := newWorld()
	w.grace = grace
	s := w.service()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = s.Run(ctx) }()
	t.Cleanup(func() { stop(); <-ended })
	return w, s, ctx
}

// in waits until the run is in a phase.
func (w *world) in(t *testing.T, ctx context.Context, p recovery.Phase) {
	t.Helper()
	w.until(t, ctx, func(r failoverrun.Run) bool { return r.Phase == p })
}

func send(t *testing.T, ctx context.Context, s *failover.Service, p event.Payload) error {
	t.Helper()
	e, err := event.New("01J00000000000000000000000", time.Now(), "/dr/cli", p)
	if err != nil {
		t.Fatal(err)
	}
	switch p.(type) {
	case event.FailoverStart:
		return s.HandleStart(ctx, e)
	case event.FailoverUndo:
		return s.HandleUndo(ctx, e)
	case event.FailoverCleanup:
		return s.HandleCleanup(ctx, e)
	}
	return s.HandleCommit(ctx, e)
}
