package orchestrator

import (
	"maps"
	"slices"
	"sync"

	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/plan"
	"tidemark.dev/pkg/engine/wake"
)

// active knows which plans have a run in progress, and which have triggers. It is safe
// for concurrent use.
type active struct {
	// begun rings when a run begins or goes on, and when a plan with triggers changes.
	begun wake.Bell
	// changed rings when a plan is written or deleted.
	changed wake.Bell

	mu    sync.Mutex
	plans map[string]wake.Bell // each rings when the run's record changes
	armed map[string]spec.Plan // those with triggers
}

func newActive() *active {
	return &active{begun: wake.New(), changed: wake.New(), plans: map[string]wake.Bell{}, armed: map[string]spec.Plan{}}
}

// arm takes a plan as it was written; nil if it was deleted.
func (a *active) arm(name string, p *spec.Plan) {
	a.changed.Ring()
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, had := a.armed[name]; !had && (p == nil || len(p.Triggers) == 0) {
		return
	}
	delete(a.armed, name)
	if p != nil && len(p.Triggers) > 0 {
		a.armed[name] = *p
	}
	a.begun.Ring()
}

// triggers are the plans with triggers.
func (a *active) triggers() []spec.Plan {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Collect(maps.Values(a.armed))
}

// see takes a run's record as it was written.
func (a *active) see(r plan.Run) {
	a.mu.Lock()
	defer a.mu.Unlock()
	bell, known := a.plans[r.Plan]
	switch {
	case known && r.Over():
		delete(a.plans, r.Plan)
	case !known && !r.Over():
		bell, known = wake.New(), true
		a.plans[r.Plan] = bell
		a.begun.Ring()
	}
	if known {
		bell.Ring()
	}
}

// any reports whether there is something to do.
func (a *active) any() bool { return len(a.names()) > 0 || len(a.triggers()) > 0 }

func (a *active) names() (out []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for name := range a.plans {
		out = append(out, name)
	}
	return out
}

// bell rings when the record of a plan's run changes; nil if none is in progress.
func (a *active) bell(name string) wake.Bell {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.plans[name]
}
