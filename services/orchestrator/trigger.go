package orchestrator

import (
	"cmp"
	"context"
	"reflect"
	"sync"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/plan"
	"tidemark.dev/pkg/core/trigger"
)

// HandleTrigger handles orchestrator.trigger. The orchestrator that watches the
// triggers sees the change.
func (s *Service) HandleTrigger(ctx context.Context, e event.Event) error {
	var p event.PlanTrigger
	if err := e.Into(&p); err != nil {
		return err
	}
	op := p.Do + " trigger"
	def, err := s.plan(ctx, op, p.Plan)
	if err != nil {
		return err
	}
	def.Triggers = trigger.Guarded(def)
	t := def.Trigger(p.Trigger)
	if t == nil {
		return cdp.Errorf(cdp.NotFound, op, p.Plan, "it has no trigger %q", p.Trigger).WithHint("see its triggers: tidemark plan trigger list " + p.Plan)
	}
	for {
		old, rev, err := s.state(ctx, p.Plan, *t)
		if err != nil {
			return cdp.Wrap(err, op, p.Plan)
		}
		what, by := trigger.What(p.Do), cmp.Or(p.By, e.Source)
		if err := old.CheckAsk(*t, what, by); err != nil {
			return err
		}
		_, err = s.step(ctx, *t, old, rev, trigger.Event{What: what, By: by})
		if !cdp.Is(err, cdp.Conflict) {
			return cdp.Wrap(err, op, p.Plan)
		}
	}
}

// state is the state of a trigger and its revision, 0 for one that was never looked at.
func (s *Service) state(ctx context.Context, name string, t spec.Trigger) (trigger.State, uint64, error) {
	x, rev, err := s.deps.Triggers.Get(ctx, name, t.Name)
	if cdp.Is(err, cdp.NotFound) || cdp.Is(err, cdp.Corrupt) {
		return trigger.New(name, t, s.deps.Clock.Now()), rev, nil
	}
	return x, rev, err
}

// step applies an event to a trigger, stores the result and tells of a new phase.
// Conflict: somebody else has changed it meanwhile.
func (s *Service) step(ctx context.Context, t spec.Trigger, old trigger.State, rev uint64, e trigger.Event) (trigger.State, error) {
	e.Now = s.deps.Clock.Now()
	next := trigger.Step(t, old, e)
	if rev != 0 && reflect.DeepEqual(next, old) {
		return next, nil
	}
	if err := s.deps.Triggers.Put(ctx, next, rev); err != nil {
		return old, err
	}
	if next.Phase != old.Phase {
		told := event.PlanTriggered{Plan: next.Plan, Trigger: next.Trigger, State: string(next.Phase), Text: next.Text}
		if next.Phase == trigger.Starting || next.Phase == trigger.Spent {
			told.Run = next.Run
		}
		s.emit(ctx, told)
	}
	return next, nil
}

// sighted is since when a trigger has had the same sight, by the clock that does not
// step.
type sighted struct {
	sight trigger.Sight
	since time.Duration
}

// watchTriggers looks at all triggers again and again until ctx ends. Only the
// orchestrator that holds the lease does.
func (s *Service) watchTriggers(ctx context.Context) {
	seen := map[string]*sighted{}
	for {
		var wg sync.WaitGroup
		for _, p := range s.active.triggers() {
			for _, t := range trigger.Guarded(p) {
				key := p.Name + " " + t.Name
				at := cmp.Or(seen[key], &sighted{})
				seen[key] = at
				wg.Go(func() {
					if err := s.watchTrigger(ctx, p.Name, t, at); err != nil && ctx.Err() == nil {
						*at = sighted{} // what held until now is not known
						s.deps.Notify(cdp.Wrap(err, "watch trigger", key))
					}
				})
			}
		}
		wg.Wait()
		if clock.Sleep(ctx, s.deps.Clock, s.cfg.LookEvery) != nil {
			return
		}
	}
}

// watchTrigger looks at a trigger once, and starts the plan if it is time.
func (s *Service) watchTrigger(ctx context.Context, name string, t spec.Trigger, at *sighted) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.RequestTimeout)
	defer cancel()
	old, rev, err := s.state(ctx, name, t)
	if err != nil {
		return err
	}
	e := trigger.Event{What: trigger.Seen}
	if last, _, err := s.deps.Runs.Get(ctx, name); err == nil {
		e.Last = &last
	} else if !cdp.Is(err, cdp.NotFound) && !cdp.Is(err, cdp.Corrupt) {
		return err
	}
	if e.Sight, e.Text = s.see(ctx, t, old.Raised); e.Sight == trigger.Holds && t.Mode == recovery.Production {
		if e.Idle, err = s.idle(ctx, name); err != nil {
			return err
		}
	}
	now := s.deps.Clock.Elapsed()
	if at.sight != e.Sight {
		*at = sighted{e.Sight, now}
	}
	e.Held = now - at.since
	next, err := s.step(ctx, t, old, rev, e)
	if err != nil || next.Phase != trigger.Starting {
		return ignore(err, cdp.Conflict)
	}
	return s.fire(ctx, t, next)
}

// idle says that all jobs which a production run of the plan would fail over are failed
// over already, as after a planned failover whose source is then switched off. Its other
// actions would be done a second time for nothing. Empty: there is something to recover.
func (s *Service) idle(ctx context.Context, name string) (string, error) {
	def, _, err := s.deps.Plans.Get(ctx, name)
	if err != nil {
		return "", err
	}
	jobs, err := s.recovers(ctx, def, map[string]bool{})
	if err != nil || len(jobs) == 0 {
		return "", err
	}
	for _, job := range jobs {
		x, err := s.deps.Failovers.Run(ctx, job)
		if err != nil || x == nil || !x.Recovered() {
			return "", err
		}
	}
	return "every job of the plan is failed over already: there is nothing to recover", nil
}

// fire starts the run of a trigger. Its name was stored before, so it begins once.
func (s *Service) fire(ctx context.Context, t spec.Trigger, x trigger.State) error {
	err := s.begin(ctx, plan.Request{Plan: x.Plan, ID: x.Run, Mode: t.Mode, By: "trigger " + t.Name})
	e := trigger.Event{What: trigger.Begun}
	switch {
	case cdp.Is(err, cdp.Conflict):
		e = trigger.Event{What: trigger.Blocked, Text: "it cannot begin yet: " + err.Error()}
	case err != nil && !cdp.Is(err, cdp.Duplicate):
		return err
	}
	x, rev, err := s.state(ctx, x.Plan, t)
	if err == nil {
		_, err = s.step(ctx, t, x, rev, e)
	}
	return ignore(err, cdp.Conflict)
}

// ignore makes nil of an error of a kind: the next look sees what it is about.
func ignore(err error, kind cdp.Kind) error {
	if cdp.Is(err, kind) {
		return nil
	}
	return err
}
