package metrics

import (
	"context"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/core/failoverrun"
	"tidemark.dev/pkg/core/plan"
)

// Failovers adds the last failover of each job at a site, until remove is called.
func (s *Server) Failovers(site cdp.Site, ask func(context.Context) ([]failoverrun.Run, error)) (remove func()) {
	return add(s, ask, func(to series, runs []failoverrun.Run) {
		for _, r := range runs {
			of := to.of(site, r.Job)
			of.gauge(failoverRunning, one(r.Mode == recovery.Production && !r.Over()))
			of.gauge(cleanupPending, one(r.Mode == recovery.Test && !r.Over()))
			of.gauge(failoverFailed, one(r.Phase == recovery.Failed))
			if !r.TestPassed.IsZero() {
				of.moment(lastTestPassed, r.TestPassed)
			}
		}
	})
}

// Plans adds the runs of a site's plans, the last one of each and those before it, until
// remove is called.
func (s *Server) Plans(site cdp.Site, ask func(context.Context) (last, before []plan.Run, _ error)) (remove func()) {
	type runs struct{ last, before []plan.Run }
	return add(s, func(ctx context.Context) (x runs, err error) {
		x.last, x.before, err = ask(ctx)
		return x, err
	}, func(to series, x runs) {
		for _, r := range x.last {
			of := to.of(site, r.Plan)
			of.gauge(planRunning, one(!r.Over()))
			of.gauge(planFailed, one(r.Phase == plan.Failed || r.Phase == plan.Cancelled))
			ended, tested := r, r
			for _, b := range x.before {
				switch {
				case b.Plan != r.Plan || !b.Over():
					continue
				case !ended.Over() || b.EndedAt.After(ended.EndedAt):
					ended = b
				}
				if passed(b) && (!passed(tested) || b.EndedAt.After(tested.EndedAt)) {
					tested = b
				}
			}
			if ended.Over() {
				of.moment(planLastRun, ended.EndedAt)
				of.gauge(planDuration, max(0, ended.EndedAt.Sub(ended.StartedAt).Seconds()))
				for _, a := range ended.Actions {
					if !a.BegunAt.IsZero() && !a.EndedAt.IsZero() {
						of.gauge(planAction, max(0, a.EndedAt.Sub(a.BegunAt).Seconds()), a.Name)
					}
				}
			}
			if passed(tested) {
				of.moment(planLastSuccess, tested.EndedAt)
			}
		}
	})
}

// passed reports whether a run is a test that succeeded.
func passed(r plan.Run) bool { return r.Mode == recovery.Test && r.Phase == plan.Succeeded }

func one(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
