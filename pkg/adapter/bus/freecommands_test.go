package bus_test

import (
	"context"
	"testing"
	"time"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/adapter/bus/bustest"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/subjects"
)

// A command that is stored, and past which the server believes its service to be, as
// after a full disk, keeps the next one out. It is delivered all the same, and then
// the way is free. One that a service is at, or will get, is left alone.
func TestACommandThatWouldNeverBeDeliveredIsFreed(t *testing.T) {
	s := bustest.Start(t, bustest.Secured)
	setup, operator := s.Connect("dr", subjects.Setup), s.Connect("dr", "operator")
	handled, finish := make(chan string, 10), make(chan struct{})
	service := s.Connect("dr", "failover")
	handlers := map[string]bus.Handler{"undo": func(ctx context.Context, e event.Event) error {
		handled <- e.Subject
		if e.Subject == "slow" {
			select {
			case <-finish:
			case <-ctx.Done():
			}
		}
		return nil
	}}
	serve := func() (stop func()) {
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- service.HandleCommands(ctx, "failover", handlers) }()
		return func() { cancel(); <-done }
	}
	send := func(job string) error {
		_, err := operator.Command(t.Context(), "dr", event.FailoverUndo{Job: job})
		return err
	}
	expect := func(job string) {
		t.Helper()
		select {
		case got := <-handled:
			if got != job {
				t.Fatalf("%s was handled, not %s", got, job)
			}
		case <-time.After(time.Minute):
			t.Fatalf("%s is never handled", job)
		}
	}
	stop := serve()
	if err := send("web"); err != nil {
		t.Fatal(err)
	}
	expect("web")
	bustest.Eventually(t, "settled", func() bool { return bus.Commands(t.Context(), setup) == 0 })
	stop()
	if err := send("web"); err != nil {
		t.Fatal(err)
	}
	if err := bus.SkipCommands(t.Context(), setup, "failover"); err != nil {
		t.Fatal(err)
	}
	defer serve()()
	if err := send("web"); !cdp.Is(err, cdp.Conflict) {
		t.Fatalf("the command is not stale: %v", err)
	}
	background(t, func(ctx context.Context) error { return bus.FreeCommands(ctx, setup, 20*time.Millisecond) })
	expect("web")
	bustest.Eventually(t, "settled", func() bool { return bus.Commands(t.Context(), setup) == 0 })
	for _, job := range []string{"slow", "web"} { // nothing of these is stale
		if err := send(job); err != nil {
			t.Fatal(err)
		}
	}
	expect("slow")
	time.Sleep(200 * time.Millisecond) // ten looks, to no effect
	close(finish)
	expect("web")
	bustest.Eventually(t, "settled", func() bool { return bus.Commands(t.Context(), setup) == 0 })
	if len(handled) > 0 {
		t.Errorf("%s was handled again", <-handled)
	}
}
