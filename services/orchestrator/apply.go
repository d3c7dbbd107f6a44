package orchestrator

import (
	"context"
	"reflect"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/plan"
)

const opApply = "apply site recovery job"

// HandleApply handles orchestrator.plan-apply.
func (s *Service) HandleApply(ctx context.Context, e event.Event) error {
	var p event.PlanApply
	if err := e.Into(&p); err != nil {
		return err
	}
	return api.ApplyNamed(ctx, spec.KindPlan, p.Plan, p.Document, s.apply)
}

// apply handles api.PlanApply. What the static check finds refuses nothing: a plan
// may be applied before its jobs are.
func (s *Service) apply(ctx context.Context, r api.ApplyRequest) (api.ApplyReply, error) {
	o, reply, err := api.ReadDocument(r, spec.KindPlan)
	if err != nil || len(reply.Problems) > 0 {
		return reply, err
	}
	p := *o.Plan
	if p.Site != s.cfg.Site {
		reply.Problems = []api.Problem{{Kind: cdp.Invalid, Path: "/spec/site", Rule: "site", Text: "the plan recovers to the site " + string(p.Site) + ", and this is " + string(s.cfg.Site),
			Hint: "apply it there: --site " + string(p.Site)}}
		return reply, nil
	}
	facts, _, err := s.facts(ctx, p)
	if err != nil {
		return reply, cdp.Wrap(err, opApply, p.Name)
	}
	for _, f := range plan.Check(p, facts) {
		reply.Warnings = append(reply.Warnings, api.Problem{Kind: cdp.Conflict, Rule: f.Rule, Text: f.String()})
	}
	s.writes.Lock()
	defer s.writes.Unlock()
	old, rev, err := s.deps.Plans.Get(ctx, p.Name)
	switch {
	case err == nil && reflect.DeepEqual(old, p):
		reply.Change = api.Unchanged
	case err == nil:
		reply.Change = api.Changed
	case cdp.Is(err, cdp.NotFound):
		reply.Change = api.Created
	case !cdp.Is(err, cdp.Corrupt): // what cannot be read is replaced
		return reply, cdp.Wrap(err, opApply, p.Name)
	default:
		reply.Change = api.Changed
	}
	if r.DryRun || reply.Change == api.Unchanged {
		return reply, nil
	}
	if rev, err = s.deps.Plans.Put(ctx, p.Name, p, rev); err != nil {
		return reply, cdp.Wrap(err, opApply, p.Name)
	}
	return reply, cdp.Wrap(s.deps.Events.Emit(ctx, event.PlanApplied{Plan: p.Name, Revision: rev}), opApply, p.Name)
}
