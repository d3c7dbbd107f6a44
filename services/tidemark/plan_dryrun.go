package main

import (
	"context"
	"fmt"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/plan"
)

// dryRun is what a run of a plan would do now, as data.
type dryRun struct {
	Plan string        `json:"plan"`
	Mode recovery.Mode `json:"mode"`
	// Refused says why a run cannot begin now; empty: it can.
	Refused string           `json:"refused,omitempty"`
	Check   client.PlanState `json:"check"`
	Steps   []dryStep        `json:"steps"`
	Takes   time.Duration    `json:"takesNanos"` // without the clean-up of a test
}

// dryStep is a step and what is known of it now.
type dryStep struct {
	plan.Forecast
	Now string `json:"now,omitempty"`
}

// dryRunPlan says what a run would do now, in order, and how long it would take. It
// changes nothing.
func (a *app) dryRunPlan(ctx context.Context, cl *client.Client, name string, mode recovery.Mode, out format) error {
	p, err := cl.Plan(ctx, name)
	if err != nil {
		return err
	}
	states, err := cl.PlanStates(ctx, []spec.Plan{p})
	if err != nil {
		return err
	}
	before, err := cl.PlanHistory(ctx, name)
	if err != nil {
		return err
	}
	d := dryRun{Plan: name, Mode: mode, Check: states[name]}
	if len(before) > 0 {
		if err := plan.Admit(&before[0], plan.Request{Plan: name, ID: "dry-run", Mode: mode}); err != nil {
			d.Refused = err.Error()
		}
	}
	for _, f := range plan.Foresee(p, mode, before) {
		s := dryStep{Forecast: f}
		if !f.CleanUp {
			d.Takes = max(d.Takes, f.Begins+f.Takes)
			if s.Now, err = jobNow(ctx, cl, p, f, mode); err != nil {
				return err
			}
		}
		d.Steps = append(d.Steps, s)
	}
	return out.facts(a.out, d, name, func() error { return a.describeDryRun(d, p, out) })
}

// jobNow says what an action would find of its job now, where that changes what it does.
func jobNow(ctx context.Context, cl *client.Client, p spec.Plan, f plan.Forecast, mode recovery.Mode) (string, error) {
	if f.Skipped != "" {
		return f.Skipped, nil
	}
	for _, x := range p.Actions {
		switch {
		case x.Name != f.Action:
		case x.Failover != nil:
			r, err := cl.Failover(ctx, cdp.GroupID(x.Job()))
			switch {
			case err != nil || r == nil || r.Over():
				return "", err
			case mode == recovery.Production && r.Recovered():
				return "it is failed over already and stays as it is", nil
			}
			return "its failover " + r.ID + " is " + string(r.Phase) + " now", nil
		case x.RunJob != nil || x.StopJob != nil:
			running, err := cl.Running(ctx, x.Job())
			switch {
			case cdp.Is(err, cdp.NotFound):
				return "there is no such job", nil
			case err == nil && running == (x.RunJob != nil):
				return "it is so already", nil
			}
			return "", err
		}
	}
	return "", nil
}

func (a *app) describeDryRun(d dryRun, p spec.Plan, out format) error {
	fmt.Fprintf(a.out, "%-10s %s of %s, nothing is done\n", "dry run", d.Mode, d.Plan)
	a.describeState(d.Check)
	if d.Refused != "" {
		fmt.Fprintf(a.out, "%-10s it cannot begin now: %s\n", "", plain(d.Refused))
	}
	unknown := 0
	for _, s := range d.Steps {
		if s.Skipped == "" && !s.CleanUp && s.Runs == 0 && s.Takes == 0 {
			unknown++
		}
	}
	text := round(d.Takes)
	if unknown > 0 {
		text += fmt.Sprintf(", and what %s, never done before", count(unknown, "action"))
		if unknown == 1 {
			text += " takes"
		} else {
			text += " take"
		}
	}
	if goal := p.Objective.Std(); goal > 0 {
		text += fmt.Sprintf("; the objective is %s", p.Objective)
	}
	fmt.Fprintf(a.out, "%-10s %s\n\n", "forecast", text)
	return out.print(a.out, nil, []string{"begins", "action", "does", "takes", "runs", "now"}, func(add func(...any)) {
		for _, s := range d.Steps {
			begins, takes, name := "+"+round(s.Begins), round(s.Takes), s.Action
			switch {
			case s.CleanUp:
				begins, takes, name = "after", "", "clean up "+name
			case s.Skipped != "":
				begins, takes = "never", ""
			case s.Runs == 0 && s.Takes == 0:
				takes = "unknown"
			}
			add(begins, name, s.Does, takes, s.Runs, s.Now)
		}
	})
}
