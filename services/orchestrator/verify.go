package orchestrator

import (
	"context"
	"fmt"
	"strings"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/plan"
)

// verifyPlans checks all plans of the site again and again until ctx ends: one that has
// changed, or whose jobs have, within LookForPlans, any other one every plan.CheckEvery.
// Every orchestrator of the site does; what one has checked the others leave alone.
func (s *Service) verifyPlans(ctx context.Context) error {
	for {
		n, err := s.verifyDue(ctx)
		if err != nil && ctx.Err() == nil {
			s.deps.Notify(cdp.Wrap(err, "check plans", string(s.cfg.Site)))
		}
		if err := s.untilPlansAreDue(ctx, n > 0 || err != nil); err != nil {
			return err
		}
	}
}

// untilPlansAreDue waits until a plan changes or, with again, until LookForPlans has
// passed.
func (s *Service) untilPlansAreDue(ctx context.Context, again bool) error {
	var due <-chan time.Time
	if again {
		t := s.deps.Clock.NewTimer(s.cfg.LookForPlans)
		defer t.Stop()
		due = t.C()
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-s.active.changed:
	case <-due:
	}
	return nil
}

// verifyDue checks the plans whose check is due. It reports how many plans there are.
func (s *Service) verifyDue(ctx context.Context) (int, error) {
	ctx = s.deps.Tracer.Silent(ctx)
	plans, err := s.deps.Plans.List(ctx)
	if err != nil || len(plans) == 0 {
		return len(plans), err
	}
	known, err := s.jobs(ctx)
	if err != nil {
		return len(plans), err
	}
	for _, p := range plans {
		last, _, err := s.deps.Checks.Get(ctx, p.Name)
		if err != nil && !cdp.Is(err, cdp.NotFound) && !cdp.Is(err, cdp.Corrupt) {
			return len(plans), err
		}
		if !last.Due(known.hash(p), s.deps.Clock.Now()) {
			continue
		}
		if _, err := s.verify(ctx, p); err != nil {
			if ctx.Err() != nil {
				return len(plans), err
			}
			s.unverified(ctx, p.Name, err)
		}
	}
	return len(plans), nil
}

// verify checks a plan that was applied, and stores what was found.
func (s *Service) verify(ctx context.Context, p spec.Plan) (plan.Verification, error) {
	facts, hash, err := s.facts(ctx, p)
	if err != nil {
		return plan.Verification{}, err
	}
	last, rev, err := s.deps.Checks.Get(ctx, p.Name)
	if err != nil && !cdp.Is(err, cdp.NotFound) && !cdp.Is(err, cdp.Corrupt) {
		return plan.Verification{}, err
	}
	v := plan.Verify(last, p, facts, hash, s.deps.Clock.Now())
	err = s.deps.Checks.Put(ctx, v, rev)
	if cdp.Is(err, cdp.Conflict) { // another orchestrator has just checked it
		return v, nil
	}
	if err == nil && (last.CheckedAt.IsZero() || differ(last, v)) {
		s.emit(ctx, checked(v))
	}
	return v, err
}

// unverified notes why a plan could not be checked.
func (s *Service) unverified(ctx context.Context, name string, why error) {
	s.deps.Notify(cdp.Wrap(why, "check plan", name))
	last, rev, err := s.deps.Checks.Get(ctx, name)
	if err != nil && !cdp.Is(err, cdp.NotFound) || last.Trouble == why.Error() {
		return
	}
	last.Plan, last.Trouble = name, why.Error()
	if err := s.deps.Checks.Put(ctx, last, rev); err != nil && !cdp.Is(err, cdp.Conflict) {
		s.deps.Notify(cdp.Wrap(err, "note failed check of plan", name))
	}
}

// differ reports whether two checks have found different things.
func differ(a, b plan.Verification) bool {
	if len(a.Findings) != len(b.Findings) {
		return true
	}
	for i := range a.Findings {
		if !a.Findings[i].Same(b.Findings[i]) {
			return true
		}
	}
	return false
}

// toldFindings is how many findings an event names.
const toldFindings = 10

func checked(v plan.Verification) event.PlanChecked {
	e := event.PlanChecked{Plan: v.Plan, State: string(v.State(v.Hash, v.CheckedAt)), Errors: v.Errors(), Warnings: len(v.Findings) - v.Errors()}
	var lines []string
	for i, f := range v.Findings {
		if i == toldFindings {
			lines = append(lines, fmt.Sprintf("and %d more", len(v.Findings)-i))
			break
		}
		lines = append(lines, f.String())
	}
	e.Text = strings.Join(lines, "\n")
	return e
}
