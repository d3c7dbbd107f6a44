package bus_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/adapter/bus/bustest"
	"tidemark.dev/pkg/contract/event"
)

// Commands with a token too many or too few are settled, however many there are, and
// the service goes on with the good ones.
func TestMalformedSubjectsDoNotStopAService(t *testing.T) {
	s := bustest.Start(t, bustest.Secured)
	bad := map[string]string{"tidemark.cmd.v1.dr.failover.start": "{}"}
	for i := range 80 { // more than a consumer may have pending
		bad[fmt.Sprintf("tidemark.cmd.v1.dr.failover.start.web.extra%d", i)] = `{"job": "web"}`
	}
	bustest.Spoil(t, s.DR.ClientURL(), s.Credential("dr", "setup"), bad)
	handled := make(chan string, 1)
	service := s.Connect("dr", "failover")
	background(t, func(ctx context.Context) error {
		return service.HandleCommands(ctx, "failover", map[string]bus.Handler{"undo": func(_ context.Context, e event.Event) error {
			handled <- e.Subject
			return nil
		}})
	})
	if _, err := s.Connect("dr", "operator").Command(t.Context(), "dr", event.FailoverUndo{Job: "web"}); err != nil {
		t.Fatal(err)
	}
	select {
	case job := <-handled:
		if job != "web" {
			t.Error(job)
		}
	case <-time.After(time.Minute):
		t.Fatal("a good command is never handled")
	}
	setup := s.Connect("dr", "setup")
	bustest.Eventually(t, "all are dead letters", func() bool { n, err := bus.DeadLetters(t.Context(), setup); return err == nil && n == len(bad) })
}
