package orchestrator

import (
	"context"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/core/plan"
)

// tell emits the events that the commands ask for.
func (s *Service) tell(ctx context.Context, run plan.Run, cmds []plan.Command) {
	for _, c := range cmds {
		switch {
		case c.Tell != nil:
			s.emit(ctx, event.PlanAction{Plan: run.Plan, Run: run.ID, Action: c.Tell.Action, State: string(c.Tell.Status), CleanUp: c.Tell.Clean, Text: c.Tell.Text})
		case c.Finish != "":
			s.emit(ctx, event.PlanFinished{Plan: run.Plan, Run: run.ID, Mode: run.Mode, State: string(c.Finish), Seconds: max(0, run.EndedAt.Sub(run.StartedAt).Seconds()), Text: run.Summary()})
		}
	}
}

// emit emits an event, trying for as long as ctx lasts. One that its schema refuses
// is given up.
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
