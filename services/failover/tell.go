package failover

import (
	"context"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/core/failoverrun"
)

// tell emits the events that the commands ask for.
func (s *Service) tell(ctx context.Context, run failoverrun.Run, cmds []failoverrun.Command) {
	for _, c := range cmds {
		switch {
		case c.Tell != nil:
			s.emit(ctx, event.FailoverStep{Job: run.Job, Run: run.ID, Step: c.Tell.Step, State: c.Tell.Status, Text: clip(c.Tell.Text)})
		case c.Finish != "":
			s.emit(ctx, event.FailoverFinished{Job: run.Job, Run: run.ID, State: c.Finish, Result: clip(run.Summary())})
		}
	}
}

// emit emits an event, trying for as long as the service runs. One that its
// schema refuses is given up.
func (s *Service) emit(ctx context.Context, p event.Payload) {
	for retry := s.backoff(); ; {
		ectx, cancel := context.WithTimeout(ctx, 5*time.Second)
		err := s.deps.Events.Emit(ectx, p)
		cancel()
		if err == nil {
			return
		}
		s.deps.Notify(err)
		if cdp.Is(err, cdp.Invalid) || retry.Wait(ctx) != nil {
			return
		}
	}
}

// clip keeps a text within the length the schema allows.
func clip(s string) string { return s[:min(len(s), 4000)] }
