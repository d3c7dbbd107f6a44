package client

import (
	"context"
	"slices"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/contract/subjects"
	"tidemark.dev/pkg/core/plan"
	"tidemark.dev/pkg/core/trigger"
)

// Plans are the site recovery jobs of this site, by name.
func (c *Client) Plans(ctx context.Context) (out []spec.Plan, err error) {
	return out, specs(ctx, c, subjects.KeyPlan, "", func(p spec.Plan) { out = append(out, p) })
}

// CheckPlan has the orchestrator check a plan that was applied, or a document.
func (c *Client) CheckPlan(ctx context.Context, r api.PlanRequest) (out api.PlanCheckReply, err error) {
	return out, c.ask(ctx, checkTime, subjects.Orchestrator, api.PlanCheck, r, &out)
}

// PlanState says how far an operator can rely on a plan, and what its last check found.
type PlanState struct {
	State     plan.State        `json:"state"`
	CheckedAt time.Time         `json:"checkedAt,omitzero"`
	Findings  []api.PlanFinding `json:"findings"`
	// Trouble says why the plan could not be checked again; empty: it could.
	Trouble string `json:"trouble,omitempty"`
}

// PlanStates are the states of plans, by name.
func (c *Client) PlanStates(ctx context.Context, plans []spec.Plan) (map[string]PlanState, error) {
	jobs, err := c.Jobs(ctx)
	if err != nil {
		return nil, err
	}
	vmJobs, err := c.VMJobs(ctx)
	if err != nil {
		return nil, err
	}
	checks, err := states[plan.Verification](ctx, c, subjects.KeyPlanCheck, "")
	out := map[string]PlanState{}
	for _, p := range plans {
		x := PlanState{State: plan.NeedsVerification}
		if v := checks[p.Name]; v != nil {
			x = PlanState{v.State(plan.Hash(p, jobs, vmJobs), c.Now()), v.CheckedAt, v.Findings, v.Trouble}
		}
		out[p.Name] = x
	}
	return out, err
}

// DeletePlan deletes a plan that does not run, and its history.
func (c *Client) DeletePlan(ctx context.Context, name string) error {
	return c.ask(ctx, Slow, subjects.Orchestrator, api.PlanDelete, api.PlanRequest{Plan: name}, nil)
}

// PlanRuns are the last runs of the plans, by plan.
func (c *Client) PlanRuns(ctx context.Context) (map[string]*plan.Run, error) {
	return states[plan.Run](ctx, c, subjects.KeyPlanRun, "")
}

// PlanRun is the last run of a plan; nil if it never ran.
func (c *Client) PlanRun(ctx context.Context, name string) (*plan.Run, error) {
	all, err := states[plan.Run](ctx, c, subjects.KeyPlanRun, name)
	return all[name], err
}

// PlanHistory are the runs of a plan that are kept, the newest first.
func (c *Client) PlanHistory(ctx context.Context, name string) ([]plan.Run, error) {
	old, err := states[plan.Run](ctx, c, subjects.KeyPlanLog, "")
	if err != nil {
		return nil, err
	}
	last, err := c.PlanRun(ctx, name)
	var out []plan.Run
	if last != nil {
		out = append(out, *last)
	}
	for _, r := range old {
		if r.Plan == name && (last == nil || r.ID != last.ID) {
			out = append(out, *r)
		}
	}
	slices.SortFunc(out, func(a, b plan.Run) int { return b.StartedAt.Compare(a.StartedAt) })
	return out, err
}

// RunPlan asks for a run of a plan, and returns when it has begun.
func (c *Client) RunPlan(ctx context.Context, r event.PlanRun) error {
	old, err := c.PlanRun(ctx, r.Plan)
	if err == nil {
		err = plan.Admit(old, plan.Request{Plan: r.Plan, ID: r.Run, Mode: r.Mode})
	}
	if cdp.Is(err, cdp.Duplicate) {
		return nil
	}
	if err != nil {
		return err
	}
	err = c.do(ctx, c.site, r, func(ctx context.Context) (bool, error) {
		x, err := c.PlanRun(ctx, r.Plan)
		return x != nil && x.ID == r.Run, err
	})
	return cdp.Wrap(err, "run plan", r.Plan)
}

// ControlPlan asks something of a plan's current run, and returns the run once that
// is done. Duplicate if it is so already.
func (c *Client) ControlPlan(ctx context.Context, r event.PlanControl) (plan.Run, error) {
	op := r.Do + " plan"
	old, err := c.PlanRun(ctx, r.Plan)
	switch {
	case err != nil:
		return plan.Run{}, err
	case old == nil:
		return plan.Run{}, cdp.Errorf(cdp.NotFound, op, r.Plan, "it was never run").WithHint("run it: tidemark plan run " + r.Plan)
	case r.Run != "" && r.Run != old.ID:
		return plan.Run{}, cdp.Errorf(cdp.Conflict, op, r.Plan, "the current run is %s, not %s", old.ID, r.Run)
	}
	r.Run = old.ID
	ask := plan.Ask{Verb: plan.Verb(r.Do), Action: r.Action}
	if err := old.CheckAsk(ask); err != nil {
		return *old, err
	}
	var last plan.Run
	err = c.do(ctx, c.site, r, func(ctx context.Context) (bool, error) {
		x, err := c.PlanRun(ctx, r.Plan)
		if err != nil || x == nil {
			return false, err
		}
		last = *x
		// What cannot be asked again is done; a retry that has failed again could be.
		return x.ID != r.Run || x.CheckAsk(ask) != nil || x.Attempts(r.Action) > old.Attempts(r.Action), nil
	})
	return last, cdp.Wrap(err, op, r.Plan)
}

// Plan is a site recovery job of this site; NotFound.
func (c *Client) Plan(ctx context.Context, name string) (out spec.Plan, err error) {
	found := false
	if err := specs(ctx, c, subjects.KeyPlan, name, func(p spec.Plan) { out, found = p, true }); err != nil || found {
		return out, err
	}
	return out, cdp.Errorf(cdp.NotFound, "find site recovery job", name, "there is none of this name at site %s", c.site).WithHint("list them: tidemark plan list")
}

// Triggers are the states of a plan's triggers, in the order of the plan. One that was
// not looked at yet has no phase.
func (c *Client) Triggers(ctx context.Context, p spec.Plan) ([]trigger.State, error) {
	var out []trigger.State
	for _, t := range p.Triggers {
		all, err := states[trigger.State](ctx, c, subjects.KeyTrigger, p.Name+"."+t.Name)
		if err != nil {
			return nil, err
		}
		x := trigger.State{Plan: p.Name, Trigger: t.Name, Of: t}
		if s := all[p.Name+"."+t.Name]; s != nil {
			x = *s
		}
		out = append(out, x)
	}
	return out, nil
}

// AskTrigger asks something of a trigger, and returns its state once that is done.
// Duplicate if it is so already.
func (c *Client) AskTrigger(ctx context.Context, r event.PlanTrigger) (trigger.State, error) {
	op, what := r.Do+" trigger", trigger.What(r.Do)
	p, err := c.Plan(ctx, r.Plan)
	if err != nil {
		return trigger.State{}, err
	}
	t := p.Trigger(r.Trigger)
	if t == nil {
		return trigger.State{}, cdp.Errorf(cdp.NotFound, op, r.Plan, "it has no trigger %q", r.Trigger).WithHint("see its triggers: tidemark plan trigger list " + r.Plan)
	}
	read := func(ctx context.Context) (trigger.State, error) {
		all, err := c.Triggers(ctx, spec.Plan{Name: r.Plan, Triggers: []spec.Trigger{*t}})
		if err != nil {
			return trigger.State{}, err
		}
		return all[0], nil
	}
	x, err := read(ctx)
	if err == nil {
		err = x.CheckAsk(*t, what, r.By)
	}
	if err != nil {
		return x, err
	}
	err = c.do(ctx, c.site, r, func(ctx context.Context) (bool, error) {
		x, err = read(ctx)
		return err == nil && x.CheckAsk(*t, what, r.By) != nil, err // what cannot be asked again is done
	})
	return x, cdp.Wrap(err, op, r.Plan)
}

// FollowPlan waits until a run of a plan is over, and returns it. shown is given the
// run whenever it was read.
func (c *Client) FollowPlan(ctx context.Context, name, run string, shown func(plan.Run)) (plan.Run, error) {
	var last plan.Run
	err := c.await(ctx, c.site, "", name, func(ctx context.Context) (bool, error) {
		x, err := c.PlanRun(ctx, name)
		switch {
		case err != nil || x == nil:
			return false, err
		case x.ID != run:
			return false, cdp.Errorf(cdp.NotFound, "follow run", run, "the plan %s has begun another run, %s", name, x.ID).
				WithHint("see: tidemark plan history " + name)
		}
		last = *x
		shown(last)
		return last.Over(), nil
	})
	return last, err
}
