package orchestrator

import (
	"context"
	"fmt"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/predicate"
	"tidemark.dev/pkg/contract/spec"
)

// condition waits until a condition holds, and says so in words. If it does not in
// time, the error is what was seen last.
func (s *Service) condition(ctx context.Context, until *deadline, c spec.Condition) (string, error) {
	for {
		tctx, cancel := context.WithTimeout(ctx, s.cfg.RequestTimeout)
		text, err := s.look(tctx, c)
		cancel()
		if err == nil {
			return text, nil
		}
		if !s.pause(ctx, until, s.cfg.PollEvery) {
			return "", cdp.Errorf(cdp.Conflict, "check", "", "it does not hold: %w", err)
		}
	}
}

// look reports whether a condition holds now: without an error it does.
func (s *Service) look(ctx context.Context, c spec.Condition) (string, error) {
	switch {
	case c.RPO != nil:
		rpo, err := s.deps.World.RPO(ctx, c.RPO.Job)
		return below("the RPO of "+c.RPO.Job, rpo, c.RPO.Below, err)
	case c.Point != nil:
		age, err := s.deps.World.Newest(ctx, c.Point.Job)
		return below("the age of the newest recovery point of "+c.Point.Job, age, c.Point.YoungerThan, err)
	case c.Port != "":
		return c.Port + " takes connections", s.deps.Outside.Dial(ctx, c.Port)
	case c.HTTP != nil:
		got, err := s.deps.Outside.Get(ctx, c.HTTP.URL)
		if err == nil && got != c.HTTP.Status {
			err = cdp.Errorf(cdp.Conflict, "get", c.HTTP.URL, "it answers with status %d, not %d", got, c.HTTP.Status)
		}
		return fmt.Sprintf("%s answers with status %d", c.HTTP.URL, got), err
	case c.Reachable != "":
		return string(c.Reachable) + " answers", s.deps.World.Reachable(ctx, c.Reachable)
	case c.Unreachable != "":
		switch err := s.deps.World.Reachable(ctx, c.Unreachable); {
		case err == nil:
			return "", cdp.Errorf(cdp.Conflict, "look for site", string(c.Unreachable), "its services answer")
		case !cdp.Is(err, cdp.Transient):
			return "", err
		}
		return string(c.Unreachable) + " does not answer", nil
	}
	switch {
	case c.Status != nil:
		return s.status(ctx, *c.Status)
	case c.VM != "":
		up, text, err := s.deps.World.Up(ctx, s.cfg.Site, api.UpRequest{VM: c.VM, Tools: true})
		if err == nil && !up {
			err = cdp.Errorf(cdp.Conflict, "look at VM", c.VM, "%s", text)
		}
		return text, err
	}
	return "", cdp.Errorf(cdp.Internal, "check", "", "this version does not know the condition")
}

// status is look at what a job's status shows.
func (s *Service) status(ctx context.Context, c spec.StatusIs) (string, error) {
	p, err := predicate.Parse(c.Holds)
	if err != nil {
		return "", cdp.Errorf(cdp.Invalid, "check", c.Job, "%q cannot be read: %w", c.Holds, err)
	}
	g, err := s.deps.World.Status(ctx, c.Job)
	if err != nil {
		return "", err
	}
	holds, seen, err := p.Holds(g)
	switch {
	case err != nil:
		return "", cdp.Errorf(cdp.Conflict, "look at the status of", c.Job, "%w: %s", err, seen)
	case !holds:
		return "", cdp.Errorf(cdp.Conflict, "look at the status of", c.Job, "%s", seen)
	}
	return seen, nil
}

func below(what string, is time.Duration, limit spec.Duration, err error) (string, error) {
	text := fmt.Sprintf("%s is %s, and the limit %s", what, is.Round(time.Millisecond), limit)
	if err == nil && is >= limit.Std() {
		err = cdp.Errorf(cdp.Conflict, "look at", what, "it is %s, and the limit %s", is.Round(time.Millisecond), limit)
	}
	return text, err
}
